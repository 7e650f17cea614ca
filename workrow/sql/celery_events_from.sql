-- From where what happens is to be told: what was there before is none of it.
SELECT coalesce(max(id), 0) AS after, clock_timestamp() AS since
FROM workrow.jobs
