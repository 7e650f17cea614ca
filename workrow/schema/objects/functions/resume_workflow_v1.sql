-- Let a workflow that is held go on. Returns "running"; NULL, if it was not held.
CREATE OR REPLACE FUNCTION workrow.resume_workflow_v1(in_flow bigint) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    -- first, as the end of a job locks its row and then the workflow
    UPDATE procrastinate_jobs AS job
    SET held_at = NULL
    FROM workrow.flow_nodes AS node
    WHERE
        node.flow_id = in_flow AND node.state = 'enqueued' AND job.id = node.job_id
        AND job.status = 'doing' AND job.held_at IS NOT NULL;
    UPDATE workrow.flows SET paused = false WHERE id = in_flow AND paused;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.free_nodes_v1(in_flow);
    PERFORM workrow.resume_nodes_v1(in_flow);
    RETURN 'running';
END;
$$
