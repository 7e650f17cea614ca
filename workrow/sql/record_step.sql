-- What a step has returned, fenced. The same claim may write it twice: its first answer was lost with the connection.
INSERT INTO workrow.job_steps (job_id, name, kind, token, ended_at, result, error, failed_before)
SELECT
    CAST(%(id)s AS bigint), CAST(%(name)s AS text), 'step', CAST(%(token)s AS integer), clock_timestamp(),
    CAST(%(result)s AS jsonb), CAST(%(error)s AS jsonb), CAST(%(failed_before)s AS text[])
WHERE
    workrow.hold_claim_v1(
        CAST(%(id)s AS bigint), CAST(%(worker_id)s AS bigint), CAST(%(token)s AS integer), CAST(%(fenced)s AS boolean)
    )
ON CONFLICT (job_id, name) DO UPDATE SET ended_at = excluded.ended_at
RETURNING CAST(result AS text), CAST(error AS text)
