-- What a worker says to a command; NULL: it has read it, and says nothing.
CREATE TABLE workrow.celery_replies (
    command_id bigint,
    worker_id bigint,
    worker text NOT NULL,
    reply jsonb,
    PRIMARY KEY (command_id, worker_id)
)
