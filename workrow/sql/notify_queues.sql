-- Tell other workers of jobs that were given back.
SELECT pg_notify(CAST('procrastinate_queue_v1#' || queue AS name), '{"type": "job_inserted", "job_id": 0}')
FROM unnest(CAST(%(queues)s AS text[])) AS given (queue)
WHERE {room_to_notify}
UNION ALL
SELECT pg_notify('procrastinate_any_queue_v1', '{"type": "job_inserted", "job_id": 0}')
WHERE {room_to_notify}
