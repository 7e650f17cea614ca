-- procrastinate's, on the tuned tables: a cancelled job goes to history; a request to abort is notified from here.
CREATE OR REPLACE FUNCTION procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean)
RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    _job_id bigint;
    _queue text;
BEGIN
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = 'todo'
        RETURNING id INTO _job_id;
    ELSE
        _job_id := workrow.end_job_v1(job_id, ARRAY['todo']::procrastinate_job_status[], 'cancelled');
    END IF;
    IF _job_id IS NULL AND abort THEN
        UPDATE procrastinate_jobs
        SET abort_requested = true
        WHERE id = job_id AND status = 'doing'
        RETURNING id, queue_name INTO _job_id, _queue;
        IF _job_id IS NOT NULL THEN
            PERFORM workrow.notify_queue_v1(_queue, 'abort_job_requested', _job_id);
        END IF;
    END IF;
    RETURN _job_id;
END;
$$
