-- Note what the code says of the queues' depths; what was set at run time stays.
INSERT INTO workrow.queue_caps AS known (queue_name, declared_depth)
SELECT given.queue, given.depth
FROM unnest(CAST(%(queues)s AS text[]), CAST(%(depths)s AS integer[])) AS given (queue, depth)
ON CONFLICT (queue_name) DO UPDATE
SET declared_depth = excluded.declared_depth
WHERE known.declared_depth IS DISTINCT FROM excluded.declared_depth
RETURNING queue_name
