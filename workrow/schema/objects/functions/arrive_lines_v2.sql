-- Arrivals and due jobs make lines ready, and so does the time that they wait for. What comes to lines that somebody holds
-- (see held_lines_v1) stays where it is.
-- Who holds the row of a line that is blocked makes it ready, or a call of that moment would pass it and be lost: a new
-- job of a blocked line leaves that row alone, but for a higher priority.
-- Raises at a text that is no line: to look at each before would cost more than all the rest.
CREATE OR REPLACE FUNCTION workrow.arrive_lines_v2(held text[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    -- a volatile function is no bound of an index scan: each call walked over all that waits for a time
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    WITH due AS (
        UPDATE procrastinate_jobs AS job
        SET staged_at = job.due_at, due_at = NULL
        WHERE job.id = ANY(ARRAY(
            SELECT waiting.id
            FROM procrastinate_jobs AS waiting
            WHERE
                waiting.status = 'todo' AND waiting.line IS NOT NULL AND waiting.due_at IS NOT NULL
                AND waiting.due_at <= moment
                AND waiting.line <> ALL(held)
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
            WHERE arrival.line <> ALL(held)
            ORDER BY arrival.id
            LIMIT 5000
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING line, priority
    ),
    come AS (
        SELECT each.line, max(each.priority) AS priority, bool_or(each.is_due) AS is_due
        FROM (
            SELECT line, priority, true AS is_due FROM due
            UNION ALL
            SELECT line, priority, false FROM arrived
        ) AS each
        GROUP BY each.line
    )
    INSERT INTO workrow.lines AS known (line, queue_name, task_name, buckets, priority, turn)
    SELECT
        come.line,
        parsed.line ->> 0,
        -- NULL is refused
        CASE WHEN {parsed_line:parsed} THEN parsed.line ->> 1 END,
        ARRAY(SELECT jsonb_array_elements_text(parsed.line - 0 - 0)),
        come.priority,
        (SELECT last_value FROM workrow.line_turns) / 1000.0
    FROM come
    CROSS JOIN LATERAL (SELECT CAST(come.line AS jsonb) AS line) AS parsed
    -- a job that is due cannot be seen by others yet, who would take a line without jobs away
    WHERE come.is_due OR NOT EXISTS (
        SELECT
        FROM workrow.lines AS waiting
        WHERE
            waiting.line = come.line
            AND (waiting.blocked_on IS NOT NULL OR waiting.wake_at IS NOT NULL)
            AND waiting.priority >= come.priority
    )
    ORDER BY come.line
    ON CONFLICT (line) DO UPDATE
    SET priority = greatest(known.priority, excluded.priority), blocked_on = NULL, wake_at = NULL
    WHERE known.priority < excluded.priority OR known.blocked_on IS NOT NULL OR known.wake_at IS NOT NULL;

    UPDATE workrow.lines
    SET blocked_on = NULL, wake_at = NULL
    WHERE line = ANY(ARRAY(
        SELECT waiting.line
        FROM workrow.lines AS waiting
        WHERE waiting.wake_at <= moment
        ORDER BY waiting.wake_at
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    ));
END;
$$
