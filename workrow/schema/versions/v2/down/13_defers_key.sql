ALTER TABLE procrastinate_periodic_defers
ADD CONSTRAINT procrastinate_periodic_defers_job_id_fkey
FOREIGN KEY (job_id) REFERENCES procrastinate_jobs (id)
