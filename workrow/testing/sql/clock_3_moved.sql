CREATE FUNCTION workrow_testing.moved(moment timestamptz) RETURNS timestamptz
LANGUAGE sql
STABLE PARALLEL SAFE
AS $$
SELECT coalesce(
    timestamptz '1970-01-01 00:00:00+00'
    + pg_sequence_last_value('workrow_testing.clock_frozen') * interval '1 microsecond',
    moment
)
$$
