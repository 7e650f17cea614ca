-- When each entry of an app's beat_schedule was sent last, and the time. NULL: at a time that nobody's clock shows.
SELECT
    name,
    version,
    declared_at > clock_timestamp() - %(fresh)s * INTERVAL '1 second' AS fresh,
    CASE WHEN last_run_at BETWEEN '0100-01-01' AND '9900-01-01' THEN last_run_at END AS last_run_at,
    clock_timestamp() AS now
FROM workrow.celery_beat
WHERE app = %(app)s
