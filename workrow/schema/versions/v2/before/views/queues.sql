-- The names come from a walk over the index, one step a queue, so that a drained queue is still listed
-- and a million finished jobs cost nothing.
CREATE OR REPLACE VIEW workrow.queues AS
WITH RECURSIVE known (queue) AS (
    (SELECT queue_name FROM procrastinate_jobs ORDER BY queue_name LIMIT 1)
    UNION ALL
    SELECT following.queue_name
    FROM known
    CROSS JOIN LATERAL (
        SELECT job.queue_name FROM procrastinate_jobs AS job
        WHERE job.queue_name > known.queue ORDER BY job.queue_name LIMIT 1
    ) AS following
),
live AS (
    SELECT
        queue_name AS queue,
        status,
        coalesce(scheduled_at <= now(), true) AS due,
        greatest(created_at, scheduled_at) AS ready_at
    FROM procrastinate_jobs
    WHERE status IN ('todo', 'doing')
)
SELECT
    known.queue,
    count(*) FILTER (WHERE live.status = 'todo') AS depth,
    count(*) FILTER (WHERE live.status = 'todo' AND live.due) AS ready,
    count(*) FILTER (WHERE live.status = 'todo' AND NOT live.due) AS scheduled,
    count(*) FILTER (WHERE live.status = 'doing') AS running,
    min(live.ready_at) FILTER (WHERE live.status = 'todo' AND live.due) AS oldest_ready_at,
    CAST(extract(
        EPOCH FROM now() - min(live.ready_at) FILTER (WHERE live.status = 'todo' AND live.due)
    ) AS double precision) AS oldest_ready_seconds
FROM known
LEFT JOIN live USING (queue)
GROUP BY known.queue
