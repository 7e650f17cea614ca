DROP VIEW workrow.all_jobs
