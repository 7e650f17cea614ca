-- An app's entries that stand in the database, as they are now.
SELECT
    name,
    task,
    schedule,
    args,
    kwargs,
    options,
    one_off,
    CASE
        WHEN starts_at < '0100-01-01' THEN CAST('0100-01-01' AS timestamptz)
        WHEN starts_at > '9900-01-01' THEN CAST('9900-01-01' AS timestamptz)
        ELSE starts_at
    END AS starts_at,
    CASE
        WHEN ends_at < '0100-01-01' THEN CAST('0100-01-01' AS timestamptz)
        WHEN ends_at > '9900-01-01' THEN CAST('9900-01-01' AS timestamptz)
        ELSE ends_at
    END AS ends_at,
    CASE WHEN last_run_at BETWEEN '0100-01-01' AND '9900-01-01' THEN last_run_at END AS last_run_at
FROM workrow.celery_entries
WHERE app = %(app)s AND enabled
ORDER BY name
