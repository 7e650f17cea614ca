-- what the table at the end says; a job that no worker had to touch twice has one attempt
WITH mail_jobs AS (
    SELECT
        id,
        status,
        discarded,
        attempts,
        created_at,
        started_at,
        finished_at,
        jsonb_path_exists(errors, '$[*] ? (@.type like_regex "DeliveryDeferred$")') AS retried
    FROM workrow.jobs
    WHERE task IN ('emails.send_welcome', 'emails.send_verification')
),

seconds AS (
    SELECT count(*) AS jobs
    FROM mail_jobs
    WHERE finished_at IS NOT NULL
    GROUP BY date_trunc('second', finished_at)
)

SELECT
    (SELECT count(*) FROM users) AS users,
    (SELECT count(*) FROM users WHERE email = ANY(CAST(%(rolled_back)s AS text[]))) AS rolled_back_users,
    (SELECT count(*) FROM email_deliveries) AS delivered,
    count(*) AS jobs,
    count(*) FILTER (WHERE status = 'succeeded' OR discarded) AS finished,
    count(*) FILTER (WHERE discarded) AS discarded,
    count(*) FILTER (WHERE retried) AS retried,
    -- one whose work a newer job under its queueing lock does is not queued again: it ends as superseded
    (
        SELECT count(*)
        FROM workrow.jobs
        WHERE
            id = ANY(CAST(%(left)s AS bigint[]))
            AND (status = 'succeeded' OR discarded OR errors @> '[{"type": "workrow.Superseded"}]')
    ) AS recovered,
    count(*) / nullif(extract(EPOCH FROM max(finished_at) - min(created_at)), 0) AS jobs_per_second,
    (SELECT max(jobs) FROM seconds) AS jobs_in_best_second,
    1000 * percentile_cont(0.50) WITHIN GROUP (
        ORDER BY extract(EPOCH FROM started_at - created_at)
    ) FILTER (WHERE attempts = 1) AS start_p50_ms,
    1000 * percentile_cont(0.95) WITHIN GROUP (
        ORDER BY extract(EPOCH FROM started_at - created_at)
    ) FILTER (WHERE attempts = 1) AS start_p95_ms
FROM mail_jobs
