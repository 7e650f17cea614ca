-- Move a job that ended without success back from history, under its own id and at once, as a node of this workflow or of none
-- (NULL). Returns what requeue_job_v1 does. One that somebody let run again by hand, alone, is the node's again: as it waits or
-- runs ("queued"), or as it has ended meanwhile ("succeeded").
CREATE OR REPLACE FUNCTION workrow.return_job_v1(job_id bigint, in_flow bigint, in_node integer) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    IF in_flow IS NOT NULL THEN
        UPDATE procrastinate_jobs SET workflow_id = in_flow, workflow_node = in_node WHERE id = job_id AND status <> 'failed';
        IF FOUND THEN
            RETURN 'queued';
        END IF;
        UPDATE workrow.history SET workflow_id = in_flow, workflow_node = in_node WHERE id = job_id AND status = 'succeeded';
        IF FOUND THEN
            RETURN 'succeeded';
        END IF;
    END IF;
    -- failed by a statement of procrastinate's first versions, and not swept yet
    PERFORM workrow.end_job_v1(job_id, ARRAY['failed']::procrastinate_job_status[], 'failed');
    WITH ended AS (
        DELETE FROM workrow.history
        WHERE id = job_id AND status IN ('failed', 'cancelled', 'aborted')
        RETURNING
            id, queue_name, task_name, priority, lock, queueing_lock, args, attempts, worker, created_at, errors, claims,
            version, unique_key, line
    )
    INSERT INTO procrastinate_jobs (
        id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker,
        created_at, errors, claims, version, unique_key, line, due_at, workflow_id, workflow_node
    )
    SELECT
        id, queue_name, task_name, priority, lock, queueing_lock, args, 'todo',
        CASE WHEN line IS NULL THEN NULL ELSE CAST({far_future} AS timestamptz) END,
        attempts, worker, created_at, errors, claims, version, unique_key, line,
        CASE WHEN line IS NULL THEN NULL ELSE clock_timestamp() END,
        in_flow, in_node
    FROM ended;
    RETURN CASE WHEN found THEN 'queued' END;
EXCEPTION WHEN unique_violation THEN
    RETURN 'blocked';
END;
$$
