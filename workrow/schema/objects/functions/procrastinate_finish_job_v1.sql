-- procrastinate's, on the tuned tables: a job that ends goes to history.
CREATE OR REPLACE FUNCTION procrastinate_finish_job_v1(
    job_id bigint, end_status procrastinate_job_status, delete_job boolean
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    _job_id bigint;
    _flow bigint;
    _node integer;
BEGIN
    IF end_status NOT IN ('succeeded', 'failed', 'aborted') THEN
        RAISE 'End status should be either "succeeded", "failed" or "aborted" (job id: %)', job_id;
    END IF;
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id, workflow_id, workflow_node INTO _job_id, _flow, _node;
        IF _flow IS NOT NULL THEN
            PERFORM workrow.end_nodes_v1(
                ARRAY[_flow], ARRAY[_node], ARRAY[CAST(end_status AS text)], NULL,
                ARRAY[CASE WHEN end_status = 'succeeded' THEN {stock_end} END]
            );
        END IF;
    ELSE
        _job_id := workrow.end_job_v1(job_id, ARRAY['todo', 'doing']::procrastinate_job_status[], end_status);
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" or "todo" status (job id: %)', job_id;
    END IF;
END;
$$
