-- What a job gave its slot away for is there: it can run now. "token": the claim that gave it away; another one, such as that
-- of an attempt that failed since, has a time of its own. In a workflow that is held it waits for that. False: somebody holds its row, and it sleeps on.
CREATE OR REPLACE FUNCTION workrow.wake_job_v1(job_id bigint, token integer) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    job procrastinate_jobs;
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO job
    FROM procrastinate_jobs
    WHERE id = job_id AND status = 'todo' AND claims = token
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NOT EXISTS (SELECT FROM procrastinate_jobs WHERE id = job_id AND status = 'todo' AND claims = token);
    END IF;
    IF job.held_at IS NOT NULL THEN
        UPDATE procrastinate_jobs SET held_at = {at_once} WHERE id = job_id;
        RETURN true;
    END IF;
    IF job.line IS NULL THEN
        UPDATE procrastinate_jobs
        SET scheduled_at = moment, staged_at = moment
        WHERE id = job_id AND staged_at IS DISTINCT FROM scheduled_at;
    ELSE
        UPDATE procrastinate_jobs SET due_at = NULL, staged_at = moment WHERE id = job_id AND due_at IS NOT NULL;
        IF FOUND THEN
            INSERT INTO workrow.line_arrivals (line, priority) VALUES (job.line, job.priority);
        END IF;
    END IF;
    IF FOUND THEN
        PERFORM workrow.notify_queue_v1(job.queue_name, 'job_inserted', job_id);
    END IF;
    RETURN true;
END;
$$
