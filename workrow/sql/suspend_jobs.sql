-- Jobs give their slots away until what they wait for is there, fenced as finish_jobs is: no attempt is counted. Left out, as
-- by snooze_jobs, is one that was asked to abort, and one whose queueing lock is taken by a newer job.
SELECT given.id
FROM (
    SELECT id, token, waits, progress
    FROM unnest(
        CAST(%(ids)s AS bigint[]), CAST(%(tokens)s AS integer[]), CAST(%(waits)s AS text[]), CAST(%(progresses)s AS text[])
    ) AS each (id, token, waits, progress)
    ORDER BY id
) AS given
WHERE
    workrow.suspend_job_v1(
        given.id, CAST(%(worker_id)s AS bigint), given.token, CAST(given.waits AS jsonb), CAST(given.progress AS jsonb), true
    ) = 'waits'
