ALTER TABLE procrastinate_events
ADD CONSTRAINT procrastinate_events_job_id_fkey
FOREIGN KEY (job_id) REFERENCES procrastinate_jobs (id) ON DELETE CASCADE
