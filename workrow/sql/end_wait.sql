-- Take the oldest signal that a step waits for, or note that the time for it is over; fenced. One row while the job is ours:
-- whether the wait is over, the value, and why there is none. Asked again, for its answer was lost with the connection, it
-- answers the same, and takes no other signal.
WITH ours AS MATERIALIZED (
    SELECT CAST(%(id)s AS bigint) AS id
    WHERE
        workrow.hold_claim_v1(
            CAST(%(id)s AS bigint), CAST(%(worker_id)s AS bigint), CAST(%(token)s AS integer), CAST(%(fenced)s AS boolean)
        )
),

known AS (
    SELECT step.job_id, step.result, step.error
    FROM workrow.job_steps AS step
    INNER JOIN ours ON ours.id = step.job_id
    WHERE step.name = CAST(%(name)s AS text) AND step.ended_at IS NOT NULL
),

signal AS (
    SELECT sent.id
    FROM workrow.job_signals AS sent
    INNER JOIN ours ON ours.id = sent.job_id
    WHERE sent.name = CAST(%(signal)s AS text) AND sent.taken_by IS NULL AND NOT EXISTS (SELECT FROM known)
    ORDER BY sent.id
    LIMIT 1
    FOR UPDATE OF sent SKIP LOCKED
),

taken AS (
    UPDATE workrow.job_signals AS sent
    SET taken_by = CAST(%(name)s AS text)
    FROM signal
    WHERE sent.id = signal.id
    RETURNING sent.job_id, sent.value
),

noted AS (
    INSERT INTO workrow.job_steps AS step (job_id, name, kind, token, signal, ended_at, result, error, failed_before)
    SELECT
        ours.id, CAST(%(name)s AS text), 'wait', CAST(%(token)s AS integer), CAST(%(signal)s AS text), clock_timestamp(),
        taken.value,
        CASE WHEN taken.job_id IS NULL THEN jsonb_build_object('type', 'workrow.SignalTimeout', 'message', 'no signal in time') END,
        CAST(%(failed_before)s AS text[])
    FROM ours
    LEFT JOIN taken ON taken.job_id = ours.id
    WHERE
        taken.job_id IS NOT NULL
        OR CAST(%(at_once)s AS boolean)
        OR EXISTS (
            SELECT
            FROM workrow.job_steps AS waiting
            WHERE
                waiting.job_id = ours.id AND waiting.name = CAST(%(name)s AS text) AND waiting.ended_at IS NULL
                AND waiting.due_at <= clock_timestamp()
        )
    ON CONFLICT (job_id, name) DO UPDATE
    SET ended_at = excluded.ended_at, result = excluded.result, error = excluded.error
    WHERE step.ended_at IS NULL
    RETURNING job_id, result, error
)

SELECT answer.job_id IS NOT NULL AS over, CAST(answer.result AS text) AS result, CAST(answer.error AS text) AS error
FROM ours
LEFT JOIN (
    SELECT noted.job_id, noted.result, noted.error FROM noted
    UNION ALL
    SELECT known.job_id, known.result, known.error FROM known
) AS answer ON answer.job_id = ours.id
