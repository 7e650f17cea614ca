-- The worker lives; no row: its lease is gone. Each time it tells how many of its finishes were refused.
WITH beaten AS (
    UPDATE procrastinate_workers SET last_heartbeat = clock_timestamp() WHERE id = %(worker_id)s RETURNING id
),

told AS (
    UPDATE workrow.worker_details
    SET refused = %(refused)s
    WHERE worker_id = %(worker_id)s AND refused <> %(refused)s
)

SELECT id FROM beaten
