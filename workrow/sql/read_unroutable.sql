-- What `workrow status` tells of waiting jobs that no living worker would take.
SELECT task, queue, jobs, oldest_created_at
FROM workrow.unroutable
ORDER BY jobs DESC
LIMIT 20
