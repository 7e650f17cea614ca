-- Queues that a worker serves, so that workrow.queues still shows them when they are drained.
INSERT INTO workrow.queue_names (name)
SELECT name
FROM unnest(CAST(%(names)s AS text[])) AS given (name)
ON CONFLICT (name) DO NOTHING
RETURNING name
