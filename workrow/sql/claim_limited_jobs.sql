-- Claim jobs that wait in lines for their limits; the first column says when it pays to ask again.
SELECT
    look_in, id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, attempts, claims, crashes,
    expires_in, version,
    (SELECT own.workflow_id FROM procrastinate_jobs AS own WHERE own.id = claimed.id AND own.workflow_node < 0) AS batch
FROM workrow.claim_limited_v1(
    CAST(%(worker_id)s AS bigint), CAST(%(tasks)s AS text[]), CAST(%(queues)s AS text[]), CAST(%(limit)s AS integer),
    CAST(%(paused)s AS text[])
) AS claimed
