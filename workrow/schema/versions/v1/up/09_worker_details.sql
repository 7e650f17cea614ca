-- What a worker says of itself; stock workers say nothing.
CREATE TABLE workrow.worker_details (
    worker_id bigint PRIMARY KEY REFERENCES procrastinate_workers (id) ON DELETE CASCADE,
    name text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    queues text[],             -- NULL: all of them
    concurrency integer NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
)
