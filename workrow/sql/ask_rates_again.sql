-- The clock was set back: lines that wait for a time ask their limits again, which have come back with it.
UPDATE workrow.lines
SET blocked_on = NULL, wake_at = NULL
WHERE line = ANY(ARRAY(
    SELECT waiting.line
    FROM workrow.lines AS waiting
    WHERE waiting.wake_at > clock_timestamp()
    FOR UPDATE SKIP LOCKED
))
RETURNING line
