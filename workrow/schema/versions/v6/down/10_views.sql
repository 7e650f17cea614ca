DROP VIEW workrow.unroutable, workrow.workers
