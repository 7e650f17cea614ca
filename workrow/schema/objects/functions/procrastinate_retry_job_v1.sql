-- procrastinate's older one, which knows only running jobs.
CREATE OR REPLACE FUNCTION procrastinate_retry_job_v1(
    job_id bigint,
    retry_at timestamp with time zone,
    new_priority integer,
    new_queue_name character varying,
    new_lock character varying
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM procrastinate_jobs WHERE id = job_id AND status = 'doing') THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', job_id;
    END IF;
    PERFORM procrastinate_retry_job_v2(job_id, retry_at, new_priority, new_queue_name, new_lock);
END;
$$
