-- When the next of the jobs that wait for their time may start.
SELECT min(CASE WHEN line IS NULL THEN scheduled_at ELSE due_at END) AS due
FROM procrastinate_jobs
WHERE
    status = 'todo'
    AND CASE WHEN line IS NULL THEN scheduled_at ELSE due_at END > clock_timestamp()
