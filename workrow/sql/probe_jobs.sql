-- Which of these jobs' rows somebody's transaction holds, or the rows of their workflows. One look, which waits for none.
SELECT id
FROM procrastinate_jobs
WHERE
    id = ANY(CAST(%(ids)s AS bigint[]))
    AND (
        id <> ALL(ARRAY(
            SELECT free.id
            FROM procrastinate_jobs AS free
            WHERE free.id = ANY(CAST(%(ids)s AS bigint[]))
            FOR UPDATE SKIP LOCKED
        ))
        OR workflow_id IS NOT NULL AND workflow_id <> ALL(ARRAY(
            SELECT flow.id
            FROM workrow.flows AS flow
            WHERE flow.id IN (
                SELECT node.workflow_id FROM procrastinate_jobs AS node WHERE node.id = ANY(CAST(%(ids)s AS bigint[]))
            )
            FOR NO KEY UPDATE SKIP LOCKED
        ))
    )
