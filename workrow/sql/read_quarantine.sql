-- What `workrow status` tells of jobs that do not run until somebody releases them; the latest first.
SELECT id, task, queue, cause, since, crashes, attempts
FROM workrow.quarantine
ORDER BY since DESC
LIMIT 20
