-- Tell a workflow, which the caller holds, of the ends of its jobs that no statement of ours has told.
CREATE OR REPLACE FUNCTION workrow.tell_ends_v1(in_flow bigint) RETURNS void
LANGUAGE sql
AS $$
    SELECT workrow.end_nodes_v1(
        array_agg(in_flow), array_agg(lost.number), array_agg(lost.status), array_agg(lost.result), array_agg(lost.error)
    )
    FROM (
        SELECT
            node.number,
            coalesce(CAST(past.status AS text), 'cancelled') AS status,
            CAST(past.result AS text) AS result,
            CASE
                WHEN past.status IS NULL
                    THEN '{"type": "workrow.Deleted", "message": "its job was deleted", "discarded": false}'
                -- errors of earlier attempts are not its end's
                WHEN past.status <> 'succeeded' OR past.errors -> -1 ->> 'type' = 'workrow.ResultNotKept'
                    THEN CAST(past.errors -> -1 AS text)
            END AS error
        FROM (
            -- first who is lost, for hardly anybody is: to look into history for each would read all of it
            SELECT missing.number, missing.job_id
            FROM workrow.flow_nodes AS missing
            WHERE
                missing.flow_id = in_flow AND missing.state = 'enqueued'
                -- one that has ended in the live table is told of when it is swept
                AND NOT EXISTS (SELECT FROM procrastinate_jobs AS job WHERE job.id = missing.job_id)
            OFFSET 0
        ) AS node
        LEFT JOIN LATERAL (
            SELECT old.status, old.result, old.errors FROM workrow.history AS old WHERE old.id = node.job_id LIMIT 1
        ) AS past ON true
    ) AS lost
    HAVING count(*) > 0
$$
