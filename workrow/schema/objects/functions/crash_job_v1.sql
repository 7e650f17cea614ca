-- The worker, or the process, that ran the job died. The caller holds the row. One under limits waits in its
-- line again. Returns what became of the job:
-- "queued", "quarantined", "aborted" (it was asked to abort) or "superseded" (see supersede_job_v1).
CREATE OR REPLACE FUNCTION workrow.crash_job_v1(job_id bigint, counted boolean, max_crashes integer, cause text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    job procrastinate_jobs;
    entry jsonb;
BEGIN
    UPDATE procrastinate_jobs
    SET crashes = least(crashes, 2147483646) + CAST(counted AS integer)
    WHERE id = job_id
    RETURNING * INTO job;
    entry := jsonb_build_object(
        'attempt', CAST(job.attempts AS bigint) + 1,
        'at', clock_timestamp(),
        'type', 'workrow.Crashed',
        'message', cause,
        'traceback', NULL,
        'discarded', false
    );
    IF job.abort_requested THEN
        PERFORM workrow.end_job_v2(job_id, ARRAY['doing']::procrastinate_job_status[], 'aborted', entry, NULL);
        RETURN 'aborted';
    END IF;
    IF job.crashes >= max_crashes THEN
        PERFORM workrow.end_job_v2(
            job_id, ARRAY['doing']::procrastinate_job_status[], 'failed', entry,
            format('crashed %s times, the last time: %s', job.crashes, cause)
        );
        RETURN 'quarantined';
    END IF;
    UPDATE procrastinate_jobs
    SET
        status = 'todo',
        worker_id = NULL,
        errors = workrow.with_error_v1(errors, entry),
        scheduled_at = CASE WHEN line IS NULL AND held_at IS NULL THEN scheduled_at ELSE {far_future} END,
        due_at = CASE WHEN line IS NULL THEN NULL WHEN held_at IS NULL THEN clock_timestamp() ELSE {far_future} END
    WHERE id = job_id;
    RETURN 'queued';
EXCEPTION WHEN unique_violation THEN
    PERFORM workrow.supersede_job_v1(job_id);
    RETURN 'superseded';
END;
$$
