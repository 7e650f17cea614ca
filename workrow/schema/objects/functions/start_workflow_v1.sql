-- Write down a workflow with its nodes, and enqueue those that wait for nobody; returns its id. NULL, and nothing is written:
-- "queues" (how many jobs each would get at once) has one without room.
CREATE OR REPLACE FUNCTION workrow.start_workflow_v1(flow jsonb, nodes jsonb, queues jsonb) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    new_id bigint;
BEGIN
    IF EXISTS (
        SELECT
        FROM jsonb_each_text(queues) AS wanted (queue_name, jobs)
        INNER JOIN workrow.queue_caps AS cap ON cap.queue_name = wanted.queue_name
        WHERE workrow.queue_is_full_v1(wanted.queue_name, CAST(wanted.jobs AS integer))
    ) THEN
        RETURN NULL;
    END IF;
    INSERT INTO workrow.flows (name, on_failure, root, size, callbacks)
    SELECT given.name, given.on_failure, given.root, given.size, given.callbacks
    FROM jsonb_to_record(flow) AS given (name text, on_failure text, root integer, size integer, callbacks integer[])
    RETURNING id INTO new_id;
    PERFORM workrow.add_nodes_v1(new_id, nodes, NULL);
    RETURN new_id;
END;
$$
