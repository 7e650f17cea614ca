-- What the code says of a limit; what was set by workrow.set_limit_v1 goes before it. Returns whether that is news.
CREATE OR REPLACE FUNCTION workrow.declare_limit_v1(
    limit_name text, running integer, count integer, seconds double precision, burst integer
) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO workrow.limit_rules AS known (name, source, max_running, rate_count, rate_seconds, rate_burst)
    VALUES (limit_name, 'declared', running, count, seconds, burst)
    ON CONFLICT (name, key, source) DO UPDATE
    SET
        max_running = excluded.max_running,
        rate_count = excluded.rate_count,
        rate_seconds = excluded.rate_seconds,
        rate_burst = excluded.rate_burst,
        changed_at = now()
    WHERE
        (known.max_running, known.rate_count, known.rate_seconds, known.rate_burst)
        IS DISTINCT FROM (excluded.max_running, excluded.rate_count, excluded.rate_seconds, excluded.rate_burst);
    IF FOUND THEN
        PERFORM workrow.call_limit_v1(limit_name);
    END IF;
    RETURN FOUND;
END;
$$
