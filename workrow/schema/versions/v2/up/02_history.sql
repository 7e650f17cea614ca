-- Where jobs go when they end. Pruning is dropping a partition.
CREATE TABLE workrow.history (
    id bigint NOT NULL,
    queue_name varchar(128) NOT NULL,
    task_name varchar(128) NOT NULL,
    priority integer NOT NULL,
    lock text,
    queueing_lock text,
    args jsonb NOT NULL,
    status procrastinate_job_status NOT NULL,
    scheduled_at timestamptz,
    attempts integer NOT NULL,
    worker_id bigint,
    worker text,
    created_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz NOT NULL,
    result jsonb,
    errors jsonb
) PARTITION BY RANGE (finished_at)
