-- version: of the task's signature that the arguments fit; NULL is 1. line: where a job under limits queues; its
-- scheduled_at is then the year 9000, so that nobody claims it who does not know of limits, and due_at says when it may.
ALTER TABLE procrastinate_jobs
    ADD COLUMN version smallint,
    ADD COLUMN unique_key text COLLATE "C",
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN progress jsonb,
    ADD COLUMN line text COLLATE "C",
    ADD COLUMN due_at timestamptz
