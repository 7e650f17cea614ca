-- The first part of a claim: arrivals and due jobs make lines ready, and so do slots that nobody holds any longer.
CREATE FUNCTION workrow.call_lines_v1() RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    freed text[];
    counts integer[];
BEGIN
    WITH due AS (
        UPDATE procrastinate_jobs AS job
        SET staged_at = job.due_at, due_at = NULL
        WHERE job.id = ANY(ARRAY(
            SELECT waiting.id
            FROM procrastinate_jobs AS waiting
            WHERE
                waiting.status = 'todo' AND waiting.line IS NOT NULL AND waiting.due_at IS NOT NULL
                AND waiting.due_at <= clock_timestamp()
            ORDER BY waiting.due_at
            LIMIT 1000
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING job.line, job.priority
    ),
    arrived AS (
        DELETE FROM workrow.line_arrivals
        WHERE id = ANY(ARRAY(
            SELECT arrival.id
            FROM workrow.line_arrivals AS arrival
            ORDER BY arrival.id
            LIMIT 5000
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING line, priority
    )
    INSERT INTO workrow.lines AS known (line, queue_name, task_name, buckets, priority, turn)
    SELECT
        come.line,
        CAST(come.line AS jsonb) ->> 0,
        CAST(come.line AS jsonb) ->> 1,
        ARRAY(SELECT jsonb_array_elements_text(CAST(come.line AS jsonb) - 0 - 0)),
        max(come.priority),
        (SELECT last_value FROM workrow.line_turns) / 1000.0
    FROM (SELECT line, priority FROM due UNION ALL SELECT line, priority FROM arrived) AS come
    GROUP BY come.line
    ORDER BY come.line
    ON CONFLICT (line) DO UPDATE SET priority = excluded.priority WHERE known.priority < excluded.priority;

    -- who waited for a time
    UPDATE workrow.lines
    SET blocked_on = NULL, wake_at = NULL
    WHERE line = ANY(ARRAY(
        SELECT waiting.line
        FROM workrow.lines AS waiting
        WHERE waiting.wake_at <= clock_timestamp()
        ORDER BY waiting.wake_at
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    ));

    WITH free AS (
        DELETE FROM workrow.limit_slots
        WHERE ctid = ANY(ARRAY(
            SELECT slot.ctid
            FROM workrow.limit_slots AS slot
            -- a subquery with LIMIT stays one probe of the primary key; NOT EXISTS became a join with the whole table
            WHERE (
                SELECT job.id
                FROM procrastinate_jobs AS job
                WHERE job.id = slot.job_id AND job.status = 'doing' AND job.claims = slot.token
                LIMIT 1
            ) IS NULL
            ORDER BY slot.bucket
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING bucket
    )
    SELECT array_agg(each.bucket), array_agg(each.n) INTO freed, counts
    FROM (SELECT free.bucket, CAST(count(*) AS integer) AS n FROM free GROUP BY free.bucket) AS each;
    PERFORM workrow.wake_lines_v1(freed, counts);
END;
$$
