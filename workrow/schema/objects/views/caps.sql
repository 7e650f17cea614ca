-- The depth is ready_depth_v1's, written out: a function would ask with the rights of whoever looks.
CREATE OR REPLACE VIEW workrow.caps AS
SELECT
    cap.queue_name AS queue,
    coalesce(cap.max_depth, cap.declared_depth) AS max_depth,
    cap.declared_depth,
    (
        SELECT count(*)
        FROM (
            (
                SELECT 1
                FROM procrastinate_jobs AS job
                WHERE
                    {ready:job}
                    AND job.lock IS NULL
                    AND job.queue_name = cap.queue_name
                LIMIT least(coalesce(cap.max_depth, cap.declared_depth), 2147483646) + 1
            )
            UNION ALL
            (
                SELECT 1
                FROM procrastinate_jobs AS job
                WHERE
                    job.status = 'todo'
                    AND (job.lock IS NOT NULL OR job.line IS NOT NULL)
                    AND job.queue_name = cap.queue_name
                    AND CASE
                        WHEN job.line IS NULL THEN {ready:job}
                        ELSE job.due_at IS NULL
                    END
                LIMIT least(coalesce(cap.max_depth, cap.declared_depth), 2147483646) + 1
            )
            LIMIT least(coalesce(cap.max_depth, cap.declared_depth), 2147483646) + 1
        ) AS waiting
    ) AS depth,
    cap.actor,
    cap.reason,
    cap.set_at
FROM workrow.queue_caps AS cap
WHERE coalesce(cap.max_depth, cap.declared_depth) IS NOT NULL
