-- How many jobs of a queue could run now, counted no further than "up_to". What is scheduled for later does not count.
CREATE OR REPLACE FUNCTION workrow.ready_depth_v1(queue text, up_to integer) RETURNS bigint
LANGUAGE sql
STABLE
-- a scan of the table, or of all that waits, may look cheaper than it is: other queues' backlogs are nothing to this one
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
    SELECT count(*)
    FROM (
        (
            SELECT 1
            FROM procrastinate_jobs AS job
            WHERE
                {ready:job}
                AND job.lock IS NULL
                AND job.queue_name = queue
            LIMIT up_to
        )
        UNION ALL
        (
            SELECT 1
            FROM procrastinate_jobs AS job
            WHERE
                job.status = 'todo'
                AND (job.lock IS NOT NULL OR job.line IS NOT NULL)
                AND job.queue_name = queue
                AND CASE
                    WHEN job.line IS NULL THEN {ready:job}
                    ELSE job.due_at IS NULL
                END
            LIMIT up_to
        )
        LIMIT up_to
    ) AS waiting
$$
