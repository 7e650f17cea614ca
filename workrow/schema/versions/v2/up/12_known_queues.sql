INSERT INTO workrow.queue_names (name)
SELECT DISTINCT queue_name FROM procrastinate_jobs
ON CONFLICT (name) DO NOTHING
