CREATE OR REPLACE VIEW workrow.limits AS
WITH running AS (
    SELECT slot.bucket, count(*) AS jobs
    FROM workrow.limit_slots AS slot
    INNER JOIN procrastinate_jobs AS job ON job.id = slot.job_id AND job.status = 'doing' AND job.claims = slot.token
    GROUP BY slot.bucket
),
blocked AS (
    SELECT line.blocked_on AS bucket, count(*) AS lines
    FROM workrow.lines AS line
    WHERE line.blocked_on IS NOT NULL
    GROUP BY line.blocked_on
),
held AS (
    SELECT
        split_part(hold.bucket, '=', 1) AS name,
        substr(hold.bucket, length(split_part(hold.bucket, '=', 1)) + 2) AS key,
        max(hold.until) AS until
    FROM workrow.limit_holds AS hold
    WHERE hold.until > clock_timestamp() AND hold.held_at < clock_timestamp() + INTERVAL '1 second'
    GROUP BY hold.bucket
),
known AS (
    SELECT rule.name, rule.key FROM workrow.limit_rules AS rule
    UNION
    SELECT held.name, held.key FROM held
    UNION
    SELECT bucket.name, bucket.key
    FROM workrow.limit_buckets AS bucket
    WHERE
        bucket.bucket IN (SELECT running.bucket FROM running)
        OR bucket.bucket IN (SELECT blocked.bucket FROM blocked)
)
SELECT
    known.name,
    nullif(known.key, '') AS key,
    coalesce(own.max_running, every.max_running, declared.max_running) AS max_running,
    coalesce(own.rate_count, every.rate_count, declared.rate_count) AS rate_count,
    coalesce(own.rate_seconds, every.rate_seconds, declared.rate_seconds) AS rate_seconds,
    coalesce(own.rate_burst, every.rate_burst, declared.rate_burst) AS rate_burst,
    coalesce(own.weight, every.weight, 1) AS weight,
    coalesce(own.paused, every.paused, false) AS paused,
    coalesce(running.jobs, 0) AS running,
    coalesce(blocked.lines, 0) AS blocked_lines,
    coalesce(own.actor, every.actor) AS actor,
    coalesce(own.reason, every.reason) AS reason,
    coalesce(own.changed_at, every.changed_at, declared.changed_at) AS changed_at,
    held.until AS held_until
FROM known
LEFT JOIN workrow.limit_rules AS own ON own.name = known.name AND own.key = known.key AND own.source = 'set'
LEFT JOIN workrow.limit_rules AS every ON every.name = known.name AND every.key = '' AND every.source = 'set'
LEFT JOIN workrow.limit_rules AS declared
    ON declared.name = known.name AND declared.key = '' AND declared.source = 'declared'
LEFT JOIN workrow.limit_buckets AS bucket ON bucket.name = known.name AND bucket.key = known.key
LEFT JOIN held ON held.name = known.name AND held.key = known.key
LEFT JOIN running ON running.bucket = bucket.bucket
LEFT JOIN blocked ON blocked.bucket = bucket.bucket
