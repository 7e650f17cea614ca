-- Cancel a job that waits; ask one that runs to abort, and with "terminate" end it whatever it does. Returns "cancelled",
-- "aborting", or NULL if it has ended already.
CREATE OR REPLACE FUNCTION workrow.cancel_job_v1(job_id bigint, terminate boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    _queue text;
BEGIN
    -- twice: between the two statements a running job may have gone back to the queue
    FOR _ IN 1..2 LOOP
        IF workrow.end_job_v1(job_id, ARRAY['todo']::procrastinate_job_status[], 'cancelled') IS NOT NULL THEN
            RETURN 'cancelled';
        END IF;
        UPDATE procrastinate_jobs
        SET abort_requested = true, terminate_requested = terminate_requested OR terminate
        WHERE id = job_id AND status = 'doing'
        RETURNING queue_name INTO _queue;
        IF _queue IS NOT NULL THEN
            PERFORM workrow.notify_queue_v1(_queue, 'abort_job_requested', job_id);
            RETURN 'aborting';
        END IF;
    END LOOP;
    RETURN NULL;
END;
$$
