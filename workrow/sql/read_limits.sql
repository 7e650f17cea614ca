-- Every limit and what of it is in use.
SELECT
    name, key, max_running, rate_count, rate_seconds, rate_burst, weight, paused, running, blocked_lines, actor, reason,
    changed_at, held_until
FROM workrow.limits
ORDER BY name, key NULLS FIRST
