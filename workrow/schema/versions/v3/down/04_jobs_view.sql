DROP VIEW workrow.jobs
