ALTER TABLE procrastinate_jobs
ADD CONSTRAINT procrastinate_jobs_worker_id_fkey
FOREIGN KEY (worker_id) REFERENCES procrastinate_workers (id) ON DELETE SET NULL
