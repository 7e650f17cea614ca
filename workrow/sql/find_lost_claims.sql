-- What a claim took whose answer never arrived: ours by the row, unknown to us.
SELECT
    id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, attempts, claims, crashes,
    CAST(NULL AS double precision) AS expires_in, version,
    {claimed_workflow}
FROM procrastinate_jobs
WHERE worker_id = %(worker_id)s AND status = 'doing' AND id <> ALL(CAST(%(known)s AS bigint[]))
