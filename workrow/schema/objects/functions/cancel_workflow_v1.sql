-- Cancel a workflow: what waits ends, what runs is asked to abort. Returns "cancelled"; "cancelling", while something runs;
-- NULL, if it has ended or never existed.
CREATE OR REPLACE FUNCTION workrow.cancel_workflow_v1(in_flow bigint) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    running bigint;
BEGIN
    UPDATE workrow.flows
    SET state = 'cancelling', paused = false
    WHERE id = in_flow AND state IN ('running', 'stopping', 'cancelling');
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.cancel_node_jobs_v1(in_flow, 100000);
    FOR running IN
        -- who ends in this moment is not waited for: its end waits for the workflow; one that adds to it is asked, too
        SELECT job.id
        FROM workrow.flow_nodes AS node
        INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
        WHERE node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL AND job.status = 'doing'
        FOR NO KEY UPDATE OF job SKIP LOCKED
    LOOP
        PERFORM workrow.cancel_job_v1(running);
    END LOOP;
    PERFORM workrow.settle_workflows_v1(ARRAY[in_flow]);
    RETURN (SELECT flow.state FROM workrow.flows AS flow WHERE flow.id = in_flow);
END;
$$
