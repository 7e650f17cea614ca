-- The arguments of jobs that a job has called, to tell calls of one task apart; what was deleted is not there.
SELECT
    id,
    CAST(args AS text) AS args
FROM procrastinate_jobs
WHERE id = any(CAST(%(ids)s AS bigint[]))
UNION ALL
SELECT
    id,
    CAST(args AS text) AS args
FROM workrow.history
WHERE id = any(CAST(%(ids)s AS bigint[]))
