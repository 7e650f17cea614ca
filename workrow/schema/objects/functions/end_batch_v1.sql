-- The block of a batch has ended, in the transaction in which it began: one without members ends at once; one whose block has
-- raised, and its members, are gone.
CREATE OR REPLACE FUNCTION workrow.end_batch_v1(in_flow bigint, raised boolean) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT raised THEN
        PERFORM FROM workrow.flows AS flow WHERE flow.id = in_flow FOR NO KEY UPDATE;
        PERFORM workrow.settle_workflows_v1(ARRAY[in_flow]);
    ELSIF EXISTS (SELECT FROM workrow.flows AS flow WHERE flow.id = in_flow AND flow.created_at = now()) THEN
        DELETE FROM procrastinate_jobs AS job
        USING workrow.flow_nodes AS node
        WHERE node.flow_id = in_flow AND job.id = node.job_id;
        DELETE FROM workrow.flow_nodes WHERE flow_id = in_flow;
        DELETE FROM workrow.flows WHERE id = in_flow;
    END IF;
END;
$$
