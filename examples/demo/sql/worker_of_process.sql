SELECT id
FROM workrow.workers
WHERE pid = %(pid)s
