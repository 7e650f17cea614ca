-- What is paused now.
SELECT kind, name
FROM workrow.pause_log
WHERE resumed_at IS NULL
