-- Live table and history under the live table's column names: what procrastinate's own queries read through our app.
CREATE OR REPLACE VIEW workrow.all_jobs AS
SELECT
    id, queue_name, task_name, priority, lock, queueing_lock, {shown_args:job} AS args, status,
    CASE WHEN line IS NULL OR status <> 'todo' THEN scheduled_at ELSE due_at END AS scheduled_at, attempts,
    abort_requested, worker_id
FROM procrastinate_jobs AS job
UNION ALL
SELECT
    id, queue_name, task_name, priority, lock, queueing_lock, {shown_args:job} AS args, status, scheduled_at, attempts,
    false AS abort_requested, worker_id
FROM workrow.history AS job
