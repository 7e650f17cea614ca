-- What was scheduled, retried or snoozed and is ready, by the time since when it is. The ready index has these jobs by their
-- ids, among the others: a job that comes back again and again would be claimed before all that is younger.
CREATE INDEX procrastinate_jobs_staged_idx_w5 ON procrastinate_jobs (queue_name, priority DESC, scheduled_at, id)
WHERE status = 'todo' AND lock IS NULL AND scheduled_at IS NOT NULL AND staged_at = scheduled_at
