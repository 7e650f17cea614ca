-- Claim jobs that wait in lines for their limits; the first column says when it pays to ask again.
SELECT
    look_in, id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, attempts, claims, crashes,
    expires_in, version,
    (SELECT {claimed_workflow:own} FROM procrastinate_jobs AS own WHERE own.id = claimed.id)
FROM workrow.claim_limited_v1(
    CAST(%(worker_id)s AS bigint), CAST(%(tasks)s AS text[]), CAST(%(queues)s AS text[]), CAST(%(limit)s AS integer),
    CAST(%(paused)s AS text[])
) AS claimed
