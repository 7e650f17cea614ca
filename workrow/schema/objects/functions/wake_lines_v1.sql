-- Make lines ready that are blocked on these buckets, as many each as "counts" says, in their order.
CREATE OR REPLACE FUNCTION workrow.wake_lines_v1(names text[], counts integer[]) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE workrow.lines
    SET
        blocked_on = NULL,
        wake_at = NULL,
        turn = greatest(turn, (SELECT last_value FROM workrow.line_turns) / 1000.0)
    WHERE line IN (
        SELECT first.line
        FROM unnest(names, counts) AS each (bucket, n)
        CROSS JOIN LATERAL (
            SELECT blocked.line
            FROM workrow.lines AS blocked
            WHERE blocked.blocked_on = each.bucket
            ORDER BY blocked.priority DESC, blocked.turn
            LIMIT each.n
            FOR UPDATE SKIP LOCKED
        ) AS first
    );
END;
$$
