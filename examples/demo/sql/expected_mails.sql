-- the two mails of each user, the job of each, and whether the mail server refused it for good
SELECT
    kind.name || '.' || users.id AS cause,
    users.email AS recipient,
    coalesce(job.discarded, false) AS discarded,
    job.id AS job_id,
    job.claims
FROM users
CROSS JOIN (VALUES ('welcome'), ('verification')) AS kind (name)
LEFT JOIN workrow.jobs AS job
    ON
        job.task = 'emails.send_' || kind.name
        AND CAST(job.args ->> 'user_id' AS bigint) = users.id
