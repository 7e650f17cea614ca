SELECT
    id,
    task,
    status,
    error
FROM workrow.jobs
WHERE NOT (status = 'succeeded' OR discarded)
ORDER BY id
