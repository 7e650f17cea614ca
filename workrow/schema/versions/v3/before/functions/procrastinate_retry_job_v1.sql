-- procrastinate's, on the tuned tables: a running job.
CREATE OR REPLACE FUNCTION procrastinate_retry_job_v1(
    job_id bigint,
    retry_at timestamp with time zone,
    new_priority integer,
    new_queue_name character varying,
    new_lock character varying
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    _job_id bigint;
    _queue text;
BEGIN
    UPDATE procrastinate_jobs
    SET
        status = 'todo',
        attempts = attempts + 1,
        scheduled_at = retry_at,
        staged_at = NULL,
        priority = coalesce(new_priority, priority),
        queue_name = coalesce(new_queue_name, queue_name),
        lock = coalesce(new_lock, lock)
    WHERE id = job_id AND status = 'doing' AND NOT abort_requested
    RETURNING id, queue_name INTO _job_id, _queue;
    IF _job_id IS NULL THEN
        -- it was asked to abort meanwhile
        _job_id := workrow.end_job_v1(job_id, ARRAY['doing']::procrastinate_job_status[], 'failed');
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', job_id;
    END IF;
    IF _queue IS NOT NULL AND retry_at <= now() THEN
        PERFORM workrow.notify_queue_v1(_queue, 'job_inserted', _job_id);
    END IF;
END;
$$
