DROP VIEW workrow.workers, workrow.tasks, workrow.queues
