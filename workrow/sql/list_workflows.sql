-- Workflows, the newest first.
SELECT
    id, name, state, size, done, failed, progress, created_at, started_at, ended_at, expected_end, error_type, error
FROM workrow.workflows
WHERE
    (CAST(%(id)s AS bigint) IS NULL OR id = CAST(%(id)s AS bigint))
    AND (CAST(%(state)s AS text) IS NULL OR state = CAST(%(state)s AS text))
ORDER BY id DESC
LIMIT CAST(%(max_rows)s AS integer)
