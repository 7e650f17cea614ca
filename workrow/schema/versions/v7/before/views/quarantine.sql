CREATE OR REPLACE VIEW workrow.quarantine AS
SELECT
    job.id,
    job.task_name AS task,
    job.queue_name AS queue,
    job.quarantine AS cause,
    job.finished_at AS since,
    job.crashes,
    job.attempts,
    job.args,
    job.worker,
    job.errors
FROM workrow.history AS job
WHERE job.quarantine IS NOT NULL
