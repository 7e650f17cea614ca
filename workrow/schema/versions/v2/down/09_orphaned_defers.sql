-- and not a periodic defer's.
UPDATE procrastinate_periodic_defers AS defer
SET job_id = NULL
WHERE
    defer.job_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM procrastinate_jobs AS job WHERE job.id = defer.job_id)
