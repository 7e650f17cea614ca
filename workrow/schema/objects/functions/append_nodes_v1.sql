-- Append nodes to the workflow that a running job is a node of; that node has ended when they have, too. Takes no lock on the
-- workflow: the caller's transaction may be a long one. Until it is over the job cannot end. Returns the workflow's id; NULL,
-- if there is no such job that runs and is a node of one.
CREATE OR REPLACE FUNCTION workrow.append_nodes_v1(in_job bigint, nodes jsonb) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    job record;
BEGIN
    SELECT own.workflow_id, own.workflow_node INTO job
    FROM procrastinate_jobs AS own
    WHERE own.id = in_job AND own.status = 'doing' AND own.workflow_id IS NOT NULL
    FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.add_nodes_v1(
        job.workflow_id,
        workrow.renumber_nodes_v1(
            nodes,
            ARRAY(
                SELECT CAST(nextval('workrow.flow_numbers') AS integer)
                FROM generate_series(1, jsonb_array_length(nodes))
            )
        ),
        job.workflow_node
    );
    RETURN job.workflow_id;
END;
$$
