-- Of these jobs, those that do not wait or run any more, and how they ended; nothing but the id for one that cannot be
-- seen. History is asked only for what has left the live table: an id is looked up in each of its days.
WITH absent AS MATERIALIZED (
    SELECT given.id
    FROM unnest(CAST(%(ids)s AS bigint[])) AS given (id)
    WHERE
        (
            SELECT job.id
            FROM procrastinate_jobs AS job
            WHERE job.id = given.id AND job.status IN ('todo', 'doing')
            LIMIT 1
        ) IS NULL
)

SELECT
    absent.id, CAST(ended.status AS text) AS status, ended.task_name, ended.attempts, ended.worker, ended.result, ended.error
FROM absent
LEFT JOIN LATERAL (
    SELECT
        history.status, history.task_name, history.attempts, history.worker, history.result,
        history.errors -> -1 AS error
    FROM workrow.history AS history
    WHERE history.id = absent.id
    UNION ALL
    -- ended by a statement of procrastinate's first versions, and not swept yet
    SELECT job.status, job.task_name, job.attempts, job.worker, job.result, job.errors -> -1 AS error
    FROM procrastinate_jobs AS job
    WHERE job.id = absent.id AND job.status NOT IN ('todo', 'doing')
    LIMIT 1
) AS ended ON true
