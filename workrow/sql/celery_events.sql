-- What has happened to jobs of late: those that were sent with a higher id, those that run, and those that have ended
-- since. Who asks knows which of them it has seen.
WITH seen AS (
    SELECT id FROM workrow.jobs WHERE id > %(after)s
    UNION
    SELECT id FROM workrow.jobs WHERE status = 'doing' AND worker_id IS NOT NULL
    UNION
    SELECT id FROM workrow.jobs WHERE finished_at > %(since)s
)

SELECT
    job.id, job.task, job.queue, job.status, job.worker, job.args, job.error_type, job.error, job.created_at,
    job.started_at, job.finished_at, clock_timestamp() AS seen_at
FROM seen
INNER JOIN workrow.jobs AS job ON job.id = seen.id
ORDER BY job.id
