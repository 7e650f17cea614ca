-- The error of a job that nobody started in time.
CREATE OR REPLACE FUNCTION workrow.expiry_v1(expires_at timestamptz, attempts integer) RETURNS jsonb
LANGUAGE sql
STABLE
AS $$
    SELECT jsonb_build_object(
        'attempt', attempts,
        'at', clock_timestamp(),
        'type', 'workrow.Expired',
        'message', format('not started by %s', expires_at),
        'traceback', NULL,
        'discarded', true
    )
$$
