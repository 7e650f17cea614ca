-- The worker lives; no row: its lease is gone. Each time it tells how many of its finishes were refused, and whether it stops.
WITH beaten AS (
    UPDATE procrastinate_workers SET last_heartbeat = clock_timestamp() WHERE id = %(worker_id)s RETURNING id
),

told AS (
    UPDATE workrow.worker_details
    SET refused = %(refused)s, stopping_at = CASE WHEN %(stopping)s THEN coalesce(stopping_at, clock_timestamp()) END
    -- who holds this row keeps no heart from beating
    WHERE worker_id = ANY(ARRAY(
        SELECT known.worker_id
        FROM workrow.worker_details AS known
        WHERE
            known.worker_id = %(worker_id)s
            AND (known.refused <> %(refused)s OR %(stopping)s <> (known.stopping_at IS NOT NULL))
        FOR UPDATE SKIP LOCKED
    ))
)

SELECT id FROM beaten
