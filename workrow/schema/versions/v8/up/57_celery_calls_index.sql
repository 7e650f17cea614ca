-- Calls of Celery tasks that wait, by their ids, for who revokes one. A job that is none pays a look at its keys. A hash: an
-- id may be longer than what a B-tree takes.
CREATE INDEX procrastinate_jobs_celery_idx_w8 ON procrastinate_jobs USING hash ((args ->> 'id'))
WHERE status = 'todo' AND jsonb_exists(args, 'root_id')
