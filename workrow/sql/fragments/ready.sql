-- It can run now: it waits, for no time or for one that has come. Together with lock IS NULL or lock IS NOT NULL it is the
-- condition of the ready and the locked index, which serve only those who repeat it.
job.status = 'todo' AND (job.scheduled_at IS NULL OR job.staged_at = job.scheduled_at)
