-- claims: the attempt token, one more with every claim. crashes: workers, or processes of a task, that died under the job.
-- marked: the claim whose start was written down before the task began, so that a crash is known to be this job's.
ALTER TABLE procrastinate_jobs
    ADD COLUMN claims integer NOT NULL DEFAULT 0,
    ADD COLUMN crashes integer NOT NULL DEFAULT 0,
    ADD COLUMN marked integer,
    ADD COLUMN terminate_requested boolean NOT NULL DEFAULT false
