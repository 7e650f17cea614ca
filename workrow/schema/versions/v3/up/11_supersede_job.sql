-- A job that should wait again while a newer one waits under the same queueing lock ends instead: the newer one will do
-- its work. Returns its id.
CREATE FUNCTION workrow.supersede_job_v1(job_id bigint) RETURNS bigint
LANGUAGE sql
AS $$
    SELECT workrow.end_job_v2(
        job_id,
        ARRAY['todo', 'doing']::procrastinate_job_status[],
        'cancelled',
        (
            SELECT jsonb_build_object(
                'attempt', job.attempts,
                'at', clock_timestamp(),
                'type', 'workrow.Superseded',
                'message', format(
                    'job %s waits under the same queueing lock %s',
                    coalesce((
                        SELECT CAST(newer.id AS text) FROM procrastinate_jobs AS newer
                        WHERE newer.status = 'todo' AND newer.queueing_lock = job.queueing_lock
                        LIMIT 1
                    ), '(gone already)'),
                    job.queueing_lock
                ),
                'traceback', NULL,
                'discarded', true
            )
            FROM procrastinate_jobs AS job
            WHERE job.id = job_id
        ),
        NULL
    )
$$
