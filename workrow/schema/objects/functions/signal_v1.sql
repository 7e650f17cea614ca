-- Send a job a signal, and wake it if it waits for it. Returns "sent"; "ended", when the job has; NULL, when there is no such
-- job: nothing is written then. The job can neither end nor go to sleep before this transaction is over.
CREATE OR REPLACE FUNCTION workrow.signal_v1(job_id bigint, name text, value jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    job procrastinate_jobs;
BEGIN
    -- it may come and go between the look and the lock
    FOR _ IN 1..10 LOOP
        SELECT * INTO job FROM procrastinate_jobs AS own WHERE own.id = signal_v1.job_id;
        EXIT WHEN NOT FOUND OR job.status NOT IN ('todo', 'doing');
        IF job.status = 'doing' THEN
            PERFORM FROM procrastinate_jobs AS own WHERE own.id = signal_v1.job_id AND own.status = 'doing' FOR SHARE;
        ELSE
            SELECT * INTO job
            FROM procrastinate_jobs AS own
            WHERE own.id = signal_v1.job_id AND own.status = 'todo'
            FOR NO KEY UPDATE;
        END IF;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO workrow.job_signals (job_id, name, value) VALUES (signal_v1.job_id, signal_v1.name, signal_v1.value);
        IF job.status = 'todo' AND EXISTS (
            SELECT FROM workrow.job_steps AS step
            WHERE
                step.job_id = signal_v1.job_id AND step.signal = signal_v1.name AND step.ended_at IS NULL
                AND step.token = job.claims
        ) THEN
            PERFORM workrow.wake_job_v1(job.id, job.claims);
        END IF;
        RETURN 'sent';
    END LOOP;
    RETURN (SELECT 'ended' FROM workrow.all_jobs AS own WHERE own.id = signal_v1.job_id LIMIT 1);
END;
$$
