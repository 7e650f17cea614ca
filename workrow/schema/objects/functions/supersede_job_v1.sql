-- A job that should wait again while a newer one waits under the same queueing lock ends instead: the newer one will do
-- its work. "error": of the attempt that has just failed, if one has. Returns its id.
CREATE OR REPLACE FUNCTION workrow.supersede_job_v1(job_id bigint, error jsonb DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    key text;
    newer bigint;
BEGIN
    UPDATE procrastinate_jobs
    SET
        attempts = least(attempts, 2147483646) + CAST(error IS NOT NULL AS integer),
        errors = CASE WHEN error IS NULL THEN errors ELSE coalesce(errors, '[]') || error END
    WHERE id = job_id
    RETURNING queueing_lock INTO key;
    SELECT id INTO newer FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock = key;
    RETURN workrow.end_job_v2(
        job_id,
        ARRAY['todo', 'doing']::procrastinate_job_status[],
        'cancelled',
        (
            SELECT jsonb_build_object(
                'attempt', job.attempts,
                'at', clock_timestamp(),
                'type', 'workrow.Superseded',
                'message', format('job %s waits under the same queueing lock %s', coalesce(newer, 0), key),
                'traceback', NULL,
                'discarded', true
            )
            FROM procrastinate_jobs AS job
            WHERE job.id = job_id
        ),
        NULL
    );
END;
$$
