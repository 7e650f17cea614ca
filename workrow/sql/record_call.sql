-- A child was enqueued in this transaction: its caller's record, fenced, and the mark by which its end finds the caller. No
-- token: the caller has not given its slot away yet.
WITH marked AS (
    UPDATE procrastinate_jobs
    SET unique_key = concat_ws(
        ':',
        'workrow.call',
        CAST(%(id)s AS text),
        CAST(%(name)s AS text)
    )
    WHERE id = CAST(%(child_id)s AS bigint)
    RETURNING id
)

INSERT INTO workrow.job_steps (job_id, name, kind, token, child_id, failed_before)
SELECT
    CAST(%(id)s AS bigint), CAST(%(name)s AS text), 'call', 0, marked.id,
    CAST(%(failed_before)s AS text[])
FROM marked
WHERE
    workrow.hold_claim_v1(
        CAST(%(id)s AS bigint), CAST(%(worker_id)s AS bigint), CAST(%(token)s AS integer), CAST(%(fenced)s AS boolean)
    )
RETURNING child_id
