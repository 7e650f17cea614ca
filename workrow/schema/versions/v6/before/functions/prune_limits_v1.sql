-- Forget buckets that nobody holds, waits for, or has spent tokens of that are not back: they are made again when needed.
CREATE OR REPLACE FUNCTION workrow.prune_limits_v1(max_rows integer DEFAULT 1000) RETURNS integer
LANGUAGE sql
AS $$
    WITH idle AS (
        SELECT known.bucket
        FROM workrow.limit_buckets AS known
        WHERE
            (known.refilled_at IS NULL OR known.refilled_at < clock_timestamp() - INTERVAL '1 day')
            AND NOT EXISTS (SELECT FROM workrow.limit_slots AS slot WHERE slot.bucket = known.bucket)
            AND NOT EXISTS (SELECT FROM workrow.lines AS line WHERE line.blocked_on = known.bucket)
            AND NOT EXISTS (
                SELECT
                FROM workrow.limit_rules AS rule
                WHERE rule.name = known.name AND rule.rate_seconds > 86400
            )
        LIMIT max_rows
        FOR UPDATE OF known SKIP LOCKED
    ),
    gone AS (
        DELETE FROM workrow.limit_buckets WHERE bucket IN (SELECT idle.bucket FROM idle) RETURNING bucket
    )
    SELECT CAST(count(*) AS integer) FROM gone
$$
