-- Whatever is inserted from now on has a higher id.
SELECT coalesce(max(id), 0) AS id FROM procrastinate_jobs
