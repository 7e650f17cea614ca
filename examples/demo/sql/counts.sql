-- how far the jobs are, for the progress shown meanwhile
SELECT
    count(*) AS jobs,
    count(*) FILTER (WHERE finished_at IS NOT NULL) AS finished,
    count(*) FILTER (WHERE discarded) AS discarded
FROM workrow.jobs
WHERE task IN ('emails.send_welcome', 'emails.send_verification')
