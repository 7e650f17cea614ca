-- How many jobs with locks, or under limits, wait in a queue: the ready index knows only the others.
CREATE INDEX procrastinate_jobs_keyed_idx_w4 ON procrastinate_jobs (queue_name)
WHERE status = 'todo' AND (lock IS NOT NULL OR line IS NOT NULL)
