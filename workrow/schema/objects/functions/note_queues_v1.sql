-- Names of queues that a job was in, so that workrow.queues still shows them when they are drained. A name that another
-- transaction is writing is left to it: if that is rolled back, the job whose end it wrote is still there, and its next end
-- notes the queue. Returns how many are new.
CREATE OR REPLACE FUNCTION workrow.note_queues_v1(names text[]) RETURNS integer
LANGUAGE plpgsql
SET lock_timeout = '1ms'
AS $$
DECLARE
    queue text;
    noted integer := 0;
    -- a statement may end a thousand jobs of a queue: it waits for its name once
    held jsonb := coalesce(nullif(current_setting('workrow.held_queues', true), ''), '[]');
BEGIN
    FOR queue IN
        SELECT DISTINCT given.name
        FROM unnest(names) AS given (name)
        WHERE
            NOT EXISTS (SELECT FROM workrow.queue_names AS known WHERE known.name = given.name)
            AND NOT held ? given.name
        ORDER BY given.name
    LOOP
        BEGIN
            INSERT INTO workrow.queue_names (name) VALUES (queue) ON CONFLICT (name) DO NOTHING;
            noted := noted + 1;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            held := held || to_jsonb(queue);
            PERFORM set_config('workrow.held_queues', CAST(held AS text), true);
        END;
    END LOOP;
    RETURN noted;
END;
$$
