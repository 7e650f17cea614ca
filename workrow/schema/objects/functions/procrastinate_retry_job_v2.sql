-- procrastinate's own name: a job that runs, or has ended, waits again. One under limits waits in its line.
CREATE OR REPLACE FUNCTION procrastinate_retry_job_v2(
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
    BEGIN
        UPDATE procrastinate_jobs
        SET
            status = 'todo',
            attempts = least(attempts, 2147483646) + 1,
            scheduled_at = CASE WHEN line IS NULL AND held_at IS NULL THEN retry_at ELSE {far_future} END,
            due_at = CASE
                WHEN line IS NULL THEN NULL
                WHEN held_at IS NULL THEN coalesce(retry_at, clock_timestamp())
                ELSE {far_future}
            END,
            held_at = CASE WHEN held_at IS NOT NULL THEN coalesce(retry_at, {at_once}) END,
            staged_at = NULL,
            priority = coalesce(new_priority, priority),
            queue_name = coalesce(new_queue_name, queue_name),
            line = workrow.line_in_queue_v1(line, new_queue_name),
            lock = coalesce(new_lock, lock)
        WHERE id = job_id AND status = 'doing' AND NOT abort_requested
        RETURNING id, queue_name INTO _job_id, _queue;
    EXCEPTION WHEN unique_violation THEN
        _job_id := workrow.supersede_job_v1(job_id);
    END;
    IF _job_id IS NULL THEN
        -- it was asked to abort meanwhile
        _job_id := workrow.end_job_v1(job_id, ARRAY['doing']::procrastinate_job_status[], 'failed');
    END IF;
    IF _job_id IS NULL THEN
        -- failed by a statement of version 1, and not swept yet
        PERFORM workrow.end_job_v1(job_id, ARRAY['failed']::procrastinate_job_status[], 'failed');
        BEGIN
            WITH failed AS (
                DELETE FROM workrow.history
                WHERE id = job_id AND status = 'failed'
                RETURNING *
            )
            INSERT INTO procrastinate_jobs (
                id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts,
                worker, created_at, errors, claims, version, unique_key, line, due_at
            )
            SELECT
                id,
                coalesce(new_queue_name, queue_name),
                task_name,
                coalesce(new_priority, priority),
                coalesce(new_lock, lock),
                queueing_lock,
                args,
                'todo',
                CASE WHEN line IS NULL THEN retry_at ELSE {far_future} END,
                least(attempts, 2147483646) + 1,
                worker,
                created_at,
                errors,
                claims,
                version,
                unique_key,
                workrow.line_in_queue_v1(line, new_queue_name),
                CASE WHEN line IS NULL THEN NULL ELSE coalesce(retry_at, clock_timestamp()) END
            FROM failed
            RETURNING id INTO _job_id;
        EXCEPTION WHEN unique_violation THEN
            RAISE 'job % does not run again: a newer job has its unique key, or waits under its queueing lock', job_id
                USING ERRCODE = 'unique_violation';
        END;
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or has an invalid status to retry (job id: %)', job_id;
    END IF;
    IF _queue IS NOT NULL AND retry_at <= now() THEN
        PERFORM workrow.notify_queue_v1(_queue, 'job_inserted', _job_id);
    END IF;
END;
$$
