-- The worker that was this process is dead, and how it died: its jobs need not wait for the end of its lease.
WITH dead AS (
    UPDATE workrow.worker_details
    SET death = CAST(%(cause)s AS text)
    WHERE host = CAST(%(host)s AS text) AND pid = CAST(%(pid)s AS integer) AND name = CAST(%(name)s AS text)
    RETURNING worker_id
)

UPDATE procrastinate_workers
SET last_heartbeat = '-infinity'
WHERE id = ANY(ARRAY(SELECT worker_id FROM dead))
RETURNING id
