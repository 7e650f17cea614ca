-- What a worker is told or asked that it has not replied to; of the last five minutes, as Celery's control_queue_ttl.
SELECT sent.id, sent.method, sent.arguments, sent.destination, sent.pattern, sent.matcher
FROM workrow.celery_commands AS sent
WHERE
    sent.sent_at > clock_timestamp() - INTERVAL '5 minutes'
    AND sent.sent_at >= (
        SELECT details.started_at
        FROM workrow.worker_details AS details
        WHERE details.worker_id = CAST(%(worker_id)s AS bigint)
    )
    AND NOT EXISTS (
        SELECT
        FROM workrow.celery_replies AS said
        WHERE said.command_id = sent.id AND said.worker_id = CAST(%(worker_id)s AS bigint)
    )
ORDER BY sent.id
