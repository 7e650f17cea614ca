-- Cap a queue: whoever enqueues more than so many jobs that could run now is refused. NULL: as the code has it.
CREATE OR REPLACE FUNCTION workrow.set_queue_v1(queue text, max_depth integer, actor text DEFAULT NULL, reason text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF set_queue_v1.max_depth < 1 THEN
        RAISE 'max_depth % of queue % must be at least 1; to stop a queue, pause it', set_queue_v1.max_depth, queue
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF queue = '' THEN
        RAISE 'a queue has a name' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO workrow.queue_caps AS known (queue_name, max_depth, actor, reason, set_at)
    VALUES (queue, set_queue_v1.max_depth, set_queue_v1.actor, set_queue_v1.reason, clock_timestamp())
    ON CONFLICT (queue_name) DO UPDATE
    SET max_depth = excluded.max_depth, actor = excluded.actor, reason = excluded.reason, set_at = excluded.set_at;
END;
$$
