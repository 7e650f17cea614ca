-- Let a job that ended without success run again, under its own id and at once. Returns "queued"; "blocked", when a
-- newer one waits under its queueing lock or unique key; NULL, when there is no such job in history. With the job that
-- has failed its workflow is tried again, or cannot be (see retry_workflow_v1); in one that goes on its failure has been counted,
-- and the job runs alone, as a callback does.
CREATE OR REPLACE FUNCTION workrow.requeue_job_v1(job_id bigint) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    flow bigint;
    verdict text;
BEGIN
    SELECT node.flow_id INTO flow
    FROM workrow.history AS past
    INNER JOIN workrow.flow_nodes AS node ON node.flow_id = past.workflow_id AND node.number = past.workflow_node
    WHERE past.id = requeue_job_v1.job_id AND past.status <> 'succeeded' AND node.job_id = past.id AND node.fires IS NULL;
    verdict := CASE WHEN flow IS NOT NULL THEN workrow.retry_workflow_v1(flow) END;
    IF verdict IS NULL THEN
        RETURN workrow.return_job_v1(job_id, NULL, NULL);
    END IF;
    RETURN CASE verdict WHEN 'running' THEN 'queued' ELSE verdict END;
END;
$$
