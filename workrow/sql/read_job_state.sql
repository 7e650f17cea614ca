-- What one job is now, and how far it has come.
SELECT status, progress FROM workrow.jobs WHERE id = CAST(%(id)s AS bigint)
