-- What this worker has set aside now; what it has no more is forgotten, as is what workers said who are gone.
WITH said AS (
    SELECT kind, name, pid
    FROM unnest(CAST(%(kinds)s AS text[]), CAST(%(names)s AS text[]), CAST(%(pids)s AS integer[])) AS given (kind, name, pid)
),

forgotten AS (
    DELETE FROM workrow.held_rows AS known
    WHERE
        known.said_at < clock_timestamp() - INTERVAL '1 minute'
        OR (known.worker_id = %(worker_id)s AND (known.kind, known.name) NOT IN (SELECT kind, name FROM said))
)

INSERT INTO workrow.held_rows AS known (worker_id, kind, name, pid, since, said_at)
SELECT CAST(%(worker_id)s AS bigint), kind, name, pid, clock_timestamp(), clock_timestamp()
FROM said
ON CONFLICT (worker_id, kind, name) DO UPDATE
SET said_at = excluded.said_at, pid = coalesce(excluded.pid, known.pid)
RETURNING name
