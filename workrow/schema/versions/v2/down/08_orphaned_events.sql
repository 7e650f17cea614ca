-- not an event's to a job,
DELETE FROM procrastinate_events AS event
WHERE NOT EXISTS (SELECT FROM procrastinate_jobs AS job WHERE job.id = event.job_id)
