-- Of a full queue, how many jobs it may hold and how many wait. No row: it is not full.
SELECT max_depth, depth
FROM workrow.caps
WHERE queue = CAST(%(queue)s AS text) AND depth + CAST(%(more)s AS integer) > max_depth
