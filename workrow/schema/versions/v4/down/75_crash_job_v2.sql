DROP FUNCTION workrow.crash_job_v2(bigint, boolean, integer, text, double precision)
