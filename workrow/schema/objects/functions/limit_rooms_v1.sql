-- What each bucket still admits. The caller holds the rows of the buckets and asks in a statement of its own, so that
-- it sees what the last holder did.
-- A rate is a token bucket (https://en.wikipedia.org/wiki/Token_bucket) of its burst that also admits no more than
-- greatest(count, burst) in any window as long as its period: counted in fiftieths of it, the oldest one in full.
CREATE OR REPLACE FUNCTION workrow.limit_rooms_v1(names text[])
RETURNS SETOF workrow.limit_room
LANGUAGE plpgsql
AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    -- in PL/pgSQL for its plan is kept: planning took longer (3 ms) than running
    RETURN QUERY
    WITH rule AS (
        SELECT
            known.bucket,
            known.tokens,
            known.refilled_at,
            known.cells,
            known.counts,
            coalesce(own.max_running, every.max_running, declared.max_running) AS max_running,
            coalesce(own.rate_count, every.rate_count, declared.rate_count) AS rate_count,
            coalesce(own.rate_seconds, every.rate_seconds, declared.rate_seconds) AS seconds,
            coalesce(own.rate_burst, every.rate_burst, declared.rate_burst) AS burst,
            coalesce(own.weight, every.weight, declared.weight, 1) AS weight,
            coalesce(own.paused, every.paused, false) AS paused,
            (
                SELECT max(hold.until)
                FROM workrow.limit_holds AS hold
                WHERE
                    hold.bucket = known.bucket
                    AND hold.until > moment
                    AND hold.held_at < moment + INTERVAL '1 second'
            ) AS held_until,
            moment AS asked_at
        FROM workrow.limit_buckets AS known
        LEFT JOIN workrow.limit_rules AS own
            ON own.name = known.name AND own.key = known.key AND own.source = 'set' AND own.key <> ''
        LEFT JOIN workrow.limit_rules AS every
            ON every.name = known.name AND every.key = '' AND every.source = 'set'
        LEFT JOIN workrow.limit_rules AS declared
            ON declared.name = known.name AND declared.key = '' AND declared.source = 'declared'
        WHERE known.bucket = ANY(names)
    ),

    state AS MATERIALIZED (
        SELECT
            rule.bucket, rule.max_running, rule.rate_count, rule.seconds, rule.burst, rule.weight, rule.paused, rule.held_until, rule.asked_at,
            CASE WHEN rule.rate_count IS NOT NULL THEN least(
                rule.burst,
                coalesce(rule.tokens, rule.burst)
                + coalesce(greatest(extract(EPOCH FROM rule.asked_at - rule.refilled_at), 0), 0) * rule.rate_count / rule.seconds
            ) END AS tokens,
            CAST(floor(extract(EPOCH FROM rule.asked_at) * 50 / rule.seconds) AS bigint) AS cell,
            CASE WHEN rule.rate_count IS NOT NULL THEN past.admitted END AS admitted,
            past.oldest,
            CASE WHEN rule.max_running IS NOT NULL THEN (
                SELECT count(*) FROM workrow.limit_slots AS slot WHERE slot.bucket = rule.bucket
            ) END AS running
        FROM rule
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(old.n), 0) AS admitted, min(old.number) AS oldest
            FROM unnest(rule.cells, rule.counts) AS old (number, n)
            WHERE old.number >= floor(extract(EPOCH FROM rule.asked_at) * 50 / rule.seconds) - 50
        ) AS past
    )

    SELECT
        state.bucket,
        CASE WHEN state.paused OR state.held_until IS NOT NULL THEN 0 ELSE greatest(0, least(
            coalesce(CAST(state.max_running - state.running AS double precision), 'Infinity'),
            coalesce(floor(state.tokens + 1e-6), 'Infinity'),
            coalesce(CAST(greatest(state.rate_count, state.burst) - state.admitted AS double precision), 'Infinity')
        )) END,
        state.weight,
        CASE
            WHEN state.paused THEN NULL
            -- soon enough also if the call is lost that says it starts again
            WHEN state.held_until IS NOT NULL THEN least(state.held_until, state.asked_at + INTERVAL '1 minute')
            WHEN state.running >= state.max_running THEN NULL
            WHEN state.admitted >= greatest(state.rate_count, state.burst)
                THEN to_timestamp((state.oldest + 51) * state.seconds / 50)
            WHEN state.tokens + 1e-6 < 1
                THEN state.asked_at + (1 - state.tokens) * state.seconds / state.rate_count * INTERVAL '1 second'
        END,
        state.max_running IS NOT NULL,
        state.tokens,
        state.asked_at,
        state.cell
    FROM state;
END;
$$
