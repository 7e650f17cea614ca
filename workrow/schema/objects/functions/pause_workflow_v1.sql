-- Hold a workflow: nothing more of it starts; what runs goes on to its end, and waits if it comes back before that. Returns
-- "paused"; NULL, if it has ended or never existed.
CREATE OR REPLACE FUNCTION workrow.pause_workflow_v1(in_flow bigint) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE workrow.flows SET paused = true WHERE id = in_flow AND state = 'running';
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.hold_nodes_v1(in_flow, 20);
    RETURN 'paused';
END;
$$
