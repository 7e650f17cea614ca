-- Give chosen jobs to a worker, note the slots that they hold, and take the tokens of rates. Returns those that were still
-- there to take, and the line of each.
CREATE OR REPLACE FUNCTION workrow.take_jobs_v1(owner bigint, INOUT ids bigint[], rooms workrow.limit_room[], OUT lines text[])
LANGUAGE plpgsql
AS $$
BEGIN
    WITH claimed AS (
        UPDATE procrastinate_jobs AS job
        SET
            status = 'doing',
            worker_id = owner,
            -- when its rate was asked: a window of these is what the rate counts
            started_at = coalesce((rooms[1]).asked_at, clock_timestamp()),
            claims = least(job.claims, 2147483646) + 1,
            scheduled_at = job.staged_at
        WHERE job.id = ANY(ARRAY(
            SELECT waiting.id
            FROM procrastinate_jobs AS waiting
            WHERE waiting.id = ANY(ids) AND waiting.status = 'todo' AND waiting.due_at IS NULL
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING job.id, job.claims, job.line
    ),

    used AS (
        SELECT bucket.bucket, claimed.id, claimed.claims
        FROM claimed
        INNER JOIN workrow.lines AS line ON line.line = claimed.line
        CROSS JOIN unnest(line.buckets) AS bucket (bucket)
    ),

    held AS (
        INSERT INTO workrow.limit_slots (bucket, job_id, token)
        SELECT used.bucket, used.id, used.claims
        FROM used
        INNER JOIN unnest(rooms) AS room ON room.bucket = used.bucket
        WHERE room.counted
    ),

    spent AS (
        UPDATE workrow.limit_buckets AS known
        SET
            tokens = room.tokens - spending.n,
            refilled_at = room.asked_at,
            cells = past.cells || room.cell,
            counts = past.counts || CAST(spending.n AS integer)
        FROM (SELECT used.bucket, count(*) AS n FROM used GROUP BY used.bucket) AS spending
        INNER JOIN unnest(rooms) AS room ON room.bucket = spending.bucket AND room.tokens IS NOT NULL
        CROSS JOIN LATERAL (
            SELECT
                coalesce(array_agg(old.number), '{}') AS cells,
                coalesce(array_agg(old.n), '{}') AS counts
            FROM workrow.limit_buckets AS former
            CROSS JOIN LATERAL unnest(former.cells, former.counts) AS old (number, n)
            WHERE former.bucket = spending.bucket AND old.number >= room.cell - 50
        ) AS past
        WHERE known.bucket = spending.bucket
    )

    SELECT array_agg(claimed.id), array_agg(claimed.line) INTO ids, lines FROM claimed;
END;
$$
