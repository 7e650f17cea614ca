-- A limit has changed: everybody who waits for it asks again, when this commits.
CREATE OR REPLACE FUNCTION workrow.call_limit_v1(limit_name text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO workrow.limit_calls (name) VALUES (limit_name);
    PERFORM workrow.notify_queue_v1(known.name, 'job_inserted', 0) FROM workrow.queue_names AS known;
END;
$$
