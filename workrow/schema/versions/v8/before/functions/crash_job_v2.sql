-- crash_job_v1, then a pause (seconds) before the job runs again.
CREATE OR REPLACE FUNCTION workrow.crash_job_v2(
    job_id bigint, counted boolean, max_crashes integer, cause text, pause double precision
) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    verdict text := workrow.crash_job_v1(job_id, counted, max_crashes, cause);
BEGIN
    IF verdict = 'queued' AND pause > 0 THEN
        UPDATE procrastinate_jobs
        SET
            scheduled_at = CASE
                WHEN line IS NULL THEN clock_timestamp() + pause * INTERVAL '1 second' ELSE scheduled_at
            END,
            due_at = CASE WHEN line IS NULL THEN NULL ELSE clock_timestamp() + pause * INTERVAL '1 second' END,
            staged_at = NULL
        WHERE id = job_id;
    END IF;
    RETURN verdict;
END;
$$
