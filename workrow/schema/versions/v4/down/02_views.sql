DROP VIEW workrow.tasks, workrow.all_jobs, workrow.queues
