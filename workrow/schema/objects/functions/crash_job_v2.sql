-- crash_job_v1, then a pause (seconds) before the job runs again.
CREATE OR REPLACE FUNCTION workrow.crash_job_v2(
    job_id bigint, counted boolean, max_crashes integer, cause text, pause double precision
) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    verdict text := workrow.crash_job_v1(job_id, counted, max_crashes, cause);
    start CONSTANT timestamptz := clock_timestamp() + pause * INTERVAL '1 second';
BEGIN
    IF verdict = 'queued' AND pause > 0 THEN
        UPDATE procrastinate_jobs
        SET
            -- one of a workflow that is held waits for that
            scheduled_at = CASE WHEN line IS NULL AND held_at IS NULL THEN start ELSE scheduled_at END,
            due_at = CASE WHEN line IS NOT NULL AND held_at IS NULL THEN start ELSE due_at END,
            held_at = CASE WHEN held_at IS NOT NULL THEN start END,
            staged_at = NULL
        WHERE id = job_id;
    END IF;
    RETURN verdict;
END;
$$
