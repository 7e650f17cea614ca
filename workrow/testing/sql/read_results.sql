-- What the jobs have returned.
SELECT id, result
FROM workrow.history
WHERE id = ANY(%(ids)s)
