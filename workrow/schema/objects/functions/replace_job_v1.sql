-- A job has ended, and a workflow takes its place, fenced as finish_jobs is: in the workflow that it is a node of, whose
-- value there is the new one's; or, if it is of none, as one of its own, whose id is the job's result. Returns the job's id;
-- NULL, if it is no longer ours, or somebody holds it.
CREATE OR REPLACE FUNCTION workrow.replace_job_v1(
    in_job bigint, owner bigint, token integer, in_worker text, flow jsonb, nodes jsonb
) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    job procrastinate_jobs;
    numbers integer[];
BEGIN
    SELECT * INTO job
    FROM procrastinate_jobs AS own
    WHERE own.id = in_job AND own.status = 'doing' AND own.worker_id = owner AND own.claims = token
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR job.workflow_id IS NOT NULL AND NOT workrow.lock_workflow_v1(job.workflow_id) THEN
        RETURN NULL;
    END IF;
    IF job.workflow_id IS NULL THEN
        UPDATE procrastinate_jobs
        SET worker = in_worker, result = jsonb_build_object('workflow_id', workrow.start_workflow_v1(flow, nodes, '{}'))
        WHERE id = in_job;
    ELSE
        numbers := ARRAY(
            SELECT CAST(nextval('workrow.flow_numbers') AS integer) FROM generate_series(1, jsonb_array_length(nodes))
        );
        PERFORM workrow.add_nodes_v1(job.workflow_id, workrow.renumber_nodes_v1(nodes, numbers), job.workflow_node);
        UPDATE workrow.flow_nodes
        SET replaced_by = numbers[1 + CAST(flow ->> 'root' AS integer)]
        WHERE flow_id = job.workflow_id AND number = job.workflow_node;
        UPDATE procrastinate_jobs SET worker = in_worker WHERE id = in_job;
    END IF;
    RETURN workrow.end_job_v1(in_job, ARRAY['doing']::procrastinate_job_status[], 'succeeded');
END;
$$
