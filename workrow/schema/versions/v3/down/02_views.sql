DROP VIEW workrow.quarantine, workrow.unroutable, workrow.workers, workrow.tasks
