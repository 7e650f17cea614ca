-- Change a limit at run time, for all keys ('') or one. NULL leaves a part as it is. A name that no worker has declared is
-- refused, for it would do nothing. Returns the row.
CREATE OR REPLACE FUNCTION workrow.set_limit_v1(
    limit_name text,
    limit_key text DEFAULT '',
    max_running integer DEFAULT NULL,
    rate_count integer DEFAULT NULL,
    rate_seconds double precision DEFAULT NULL,
    rate_burst integer DEFAULT NULL,
    weight double precision DEFAULT NULL,
    paused boolean DEFAULT NULL,
    actor text DEFAULT NULL,
    reason text DEFAULT NULL
) RETURNS workrow.limit_rules
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    changed workrow.limit_rules;
BEGIN
    IF NOT EXISTS (SELECT FROM workrow.limit_rules WHERE name = limit_name AND source = 'declared') THEN
        RAISE 'no limit is named %: see SELECT name FROM workrow.limits', limit_name USING ERRCODE = 'no_data_found';
    END IF;
    IF set_limit_v1.max_running < 0 OR set_limit_v1.rate_count < 1 OR set_limit_v1.rate_burst < 1
        OR NOT (set_limit_v1.rate_seconds > 0 AND set_limit_v1.rate_seconds < 'Infinity')
        OR NOT (set_limit_v1.weight > 0 AND set_limit_v1.weight < 'Infinity')
    THEN
        RAISE 'limit %: max_running must be 0 or more, rate_count and rate_burst 1 or more, rate_seconds and weight above 0', limit_name
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF set_limit_v1.rate_count IS NOT NULL AND set_limit_v1.rate_seconds IS NULL
        AND NOT EXISTS (SELECT FROM workrow.limit_rules AS rule WHERE rule.name = limit_name AND rule.rate_seconds IS NOT NULL)
    THEN
        RAISE 'limit % is no rate yet: rate_count needs rate_seconds', limit_name USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO workrow.limit_rules AS known (
        name, key, source, max_running, rate_count, rate_seconds, rate_burst, weight, paused, actor, reason
    )
    VALUES (
        limit_name, coalesce(limit_key, ''), 'set', set_limit_v1.max_running, set_limit_v1.rate_count, set_limit_v1.rate_seconds,
        coalesce(set_limit_v1.rate_burst, set_limit_v1.rate_count), set_limit_v1.weight, set_limit_v1.paused,
        set_limit_v1.actor, set_limit_v1.reason
    )
    ON CONFLICT (name, key, source) DO UPDATE
    SET
        max_running = coalesce(excluded.max_running, known.max_running),
        rate_count = coalesce(excluded.rate_count, known.rate_count),
        rate_seconds = coalesce(excluded.rate_seconds, known.rate_seconds),
        rate_burst = coalesce(excluded.rate_burst, known.rate_burst),
        weight = coalesce(excluded.weight, known.weight),
        paused = coalesce(excluded.paused, known.paused),
        actor = excluded.actor,
        reason = excluded.reason,
        changed_at = now()
    RETURNING * INTO changed;
    PERFORM workrow.call_limit_v1(limit_name);
    RETURN changed;
END;
$$
