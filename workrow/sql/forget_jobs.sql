-- Delete jobs that have just ended badly and are not to be kept (delete_jobs): they had to be in history for their failure
-- hooks to be called.
DELETE FROM workrow.history
WHERE id = ANY(CAST(%(ids)s AS bigint[])) AND finished_at > clock_timestamp() - INTERVAL '1 day'
RETURNING id
