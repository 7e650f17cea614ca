-- Let a workflow that is held go on. Returns "running"; NULL, if it was not held.
CREATE OR REPLACE FUNCTION workrow.resume_workflow_v1(in_flow bigint) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE workrow.flows SET paused = false WHERE id = in_flow AND paused;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.free_nodes_v1(in_flow, 20);
    PERFORM workrow.resume_nodes_v1(in_flow);
    RETURN 'running';
END;
$$
