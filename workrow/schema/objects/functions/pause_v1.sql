-- Let no worker start jobs of a queue, or of a task, until it is resumed; running ones go on. Workers look twice a second.
-- Returns whether it was not paused before; the actor and the reason of a pause that is there already stay.
CREATE OR REPLACE FUNCTION workrow.pause_v1(kind text, name text, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    IF pause_v1.kind IS NULL OR pause_v1.kind NOT IN ('queue', 'task') THEN
        RAISE 'kind % cannot be paused: give queue or task', quote_nullable(pause_v1.kind)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF coalesce(pause_v1.name, '') = '' THEN
        RAISE 'name % names no %', quote_nullable(pause_v1.name), pause_v1.kind USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO workrow.pause_log (kind, name, actor, reason)
    VALUES (pause_v1.kind, pause_v1.name, pause_v1.actor, pause_v1.reason)
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END;
$$
