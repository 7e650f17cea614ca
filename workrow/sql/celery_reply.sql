-- What a worker says to a command.
INSERT INTO workrow.celery_replies (command_id, worker_id, worker, reply)
VALUES (
    CAST(%(command_id)s AS bigint), CAST(%(worker_id)s AS bigint), CAST(%(worker)s AS text), CAST(%(reply)s AS jsonb)
)
ON CONFLICT (command_id, worker_id) DO NOTHING
RETURNING command_id
