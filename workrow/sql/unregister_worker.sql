-- The worker has given everything back and is gone.
DELETE FROM procrastinate_workers WHERE id = %(worker_id)s RETURNING id
