CREATE OR REPLACE VIEW workrow.held AS
WITH open_transactions AS MATERIALIZED (
    SELECT held_lock.transactionid AS id, held_lock.pid, session.xact_start
    FROM pg_locks AS held_lock
    INNER JOIN pg_stat_activity AS session ON session.pid = held_lock.pid
    WHERE
        held_lock.locktype = 'transactionid' AND held_lock.granted
        -- ours are shorter; and who may not see when it began sees it as well
        AND coalesce(session.xact_start < clock_timestamp() - INTERVAL '1 second', true)
),

locked AS (
    -- xmax: who has locked, changed or deleted this version of the row
    SELECT 'job' AS kind, CAST(job.id AS text) AS name, holder.xact_start AS since, holder.pid
    FROM procrastinate_jobs AS job
    INNER JOIN open_transactions AS holder ON holder.id = job.xmax
    WHERE job.status = 'doing' AND job.worker_id IS NOT NULL
    UNION ALL
    SELECT 'schedule', schedule.name, greatest(holder.xact_start, schedule.next_due), holder.pid
    FROM workrow.timetable AS schedule
    INNER JOIN open_transactions AS holder ON holder.id = schedule.xmax
    WHERE schedule.paused_at IS NULL AND schedule.next_due < clock_timestamp()
    UNION ALL
    SELECT 'bucket', bucket.bucket, holder.xact_start, holder.pid
    FROM workrow.limit_buckets AS bucket
    INNER JOIN open_transactions AS holder ON holder.id = bucket.xmax
    UNION ALL
    SELECT 'worker', CAST(worker.id AS text), holder.xact_start, holder.pid
    FROM procrastinate_workers AS worker
    INNER JOIN open_transactions AS holder ON holder.id = worker.xmax
),

known AS (
    SELECT each.kind, each.name, min(each.since) AS since, max(each.pid) AS pid
    FROM (
        SELECT kind, name, since, pid FROM locked
        UNION ALL
        SELECT kind, name, since, pid FROM workrow.held_rows WHERE said_at > clock_timestamp() - INTERVAL '5 seconds'
    ) AS each
    GROUP BY each.kind, each.name
),

held AS (
    SELECT known.kind, known.name, known.since, coalesce(known.pid, writer.pid) AS pid
    FROM known
    -- a key that is not committed cannot be seen: if only one transaction writes to the table for that long, it is that
    CROSS JOIN LATERAL (
        SELECT CASE WHEN count(DISTINCT table_lock.pid) = 1 THEN min(table_lock.pid) END AS pid
        FROM pg_locks AS table_lock
        INNER JOIN pg_stat_activity AS session ON session.pid = table_lock.pid
        WHERE
            known.pid IS NULL
            AND table_lock.relation = CASE known.kind
                WHEN 'queue' THEN CAST('workrow.queue_names' AS regclass)
                ELSE CAST('procrastinate_jobs' AS regclass)
            END
            AND table_lock.mode = 'RowExclusiveLock' AND table_lock.granted
            AND session.xact_start <= known.since
    ) AS writer
)

SELECT
    held.kind,
    CASE
        WHEN
            held.kind = 'bucket'
            AND EXISTS (
                SELECT FROM workrow.hidden_arguments AS hidden
                WHERE
                    held.name ~ concat(
                        '/', CASE hidden.name WHEN '*' THEN '[^=]+' ELSE hidden.name END, '=(?!#[0-9a-f]{16}$)'
                    )
            )
            THEN concat(split_part(held.name, '=', 1), '=***')
        ELSE held.name
    END AS name,
    held.since,
    session.pid,
    session.application_name,
    session.state,
    session.xact_start AS transaction_since,
    {shown_query} AS query
FROM held
LEFT JOIN pg_stat_activity AS session ON session.pid = held.pid
