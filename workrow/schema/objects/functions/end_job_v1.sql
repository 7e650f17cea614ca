-- As in version 2, with the counters.
CREATE OR REPLACE FUNCTION workrow.end_job_v1(
    job_id bigint, from_statuses procrastinate_job_status[], end_status procrastinate_job_status
) RETURNS bigint
LANGUAGE sql
AS $$
    SELECT workrow.end_job_v2(job_id, from_statuses, end_status, NULL, NULL)
$$
