-- A limit has changed: everybody who waits for it asks again.
CREATE FUNCTION workrow.call_limit_v1(limit_name text) RETURNS void
LANGUAGE sql
AS $$
    UPDATE workrow.lines
    SET blocked_on = NULL, wake_at = NULL
    WHERE
        (blocked_on IS NOT NULL OR wake_at IS NOT NULL)
        AND EXISTS (SELECT FROM unnest(buckets) AS bucket WHERE split_part(bucket, '=', 1) = limit_name)
$$
