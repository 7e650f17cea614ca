-- The lines to which jobs have come, and that are to be left aside: other transactions hold their rows, or they are texts
-- that are no lines.
CREATE OR REPLACE FUNCTION workrow.held_lines_v1() RETURNS text[]
LANGUAGE plpgsql
AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    held text[] := ARRAY(
        SELECT DISTINCT waiting.line
        FROM procrastinate_jobs AS waiting
        WHERE
            waiting.status = 'todo' AND waiting.line IS NOT NULL AND waiting.due_at IS NOT NULL
            AND waiting.due_at <= moment
            AND NOT {text_of_a_line:waiting}
    );
    come text[];
    free text[];
BEGIN
    -- again, for many may have come to one that is held, and hide the others
    LOOP
        come := ARRAY(
            (
                SELECT DISTINCT arrived.line
                FROM (
                    SELECT arrival.line
                    FROM workrow.line_arrivals AS arrival
                    WHERE arrival.line <> ALL(held)
                    ORDER BY arrival.id
                    LIMIT 5000
                ) AS arrived
            )
            UNION
            (
                SELECT waiting.line
                FROM procrastinate_jobs AS waiting
                WHERE
                    waiting.status = 'todo' AND waiting.line IS NOT NULL AND waiting.due_at IS NOT NULL
                    AND waiting.due_at <= moment
                    AND waiting.line <> ALL(held)
                ORDER BY waiting.due_at
                LIMIT 1000
            )
        );
        free := ARRAY(SELECT line FROM workrow.lines WHERE line = ANY(come) FOR UPDATE SKIP LOCKED);
        come := ARRAY(SELECT line FROM workrow.lines WHERE line = ANY(come) AND line <> ALL(free));
        EXIT WHEN come = '{}';
        held := held || come;
    END LOOP;
    RETURN held;
END;
$$
