-- Take back jobs that the same transaction has just inserted.
DELETE FROM procrastinate_jobs WHERE id = ANY(CAST(%(ids)s AS bigint[])) RETURNING id
