-- Let a job that ended without success run again, under its own id and at once. Returns "queued"; "blocked", when a
-- newer one waits under its queueing lock or unique key; NULL, when there is no such job in history. With the job that
-- has failed its workflow is tried again; in one that goes on its failure has been counted, and the job runs alone.
CREATE OR REPLACE FUNCTION workrow.requeue_job_v1(job_id bigint) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    flow bigint;
    verdict text;
BEGIN
    SELECT past.workflow_id INTO flow FROM workrow.history AS past WHERE past.id = job_id AND past.status <> 'succeeded';
    IF flow IS NOT NULL THEN
        verdict := workrow.retry_workflow_v1(flow);
        IF verdict = 'running' THEN
            RETURN 'queued';
        ELSIF verdict LIKE 'gone: %' THEN
            RAISE 'workflow % cannot be retried: %', flow, verdict;
        END IF;
    END IF;
    RETURN workrow.return_job_v1(job_id, false);
END;
$$
