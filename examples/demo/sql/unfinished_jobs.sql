SELECT
    id,
    task,
    status,
    error
FROM workrow.jobs
WHERE
    task IN ('emails.send_welcome', 'emails.send_verification')
    AND NOT (status = 'succeeded' OR discarded)
ORDER BY id
