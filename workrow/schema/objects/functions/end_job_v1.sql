-- Move a job to history that nothing more is to be said of; see end_job_v2.
CREATE OR REPLACE FUNCTION workrow.end_job_v1(
    job_id bigint, from_statuses procrastinate_job_status[], end_status procrastinate_job_status
) RETURNS bigint
LANGUAGE sql
AS $$
    SELECT workrow.end_job_v2(job_id, from_statuses, end_status, NULL, NULL)
$$
