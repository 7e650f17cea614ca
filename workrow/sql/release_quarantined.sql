-- Let a quarantined job run again.
SELECT workrow.release_job_v1(%(id)s) AS id
