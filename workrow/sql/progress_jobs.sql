-- How far running jobs have come, fenced as finish_jobs is. A row that somebody holds is left out, so that nobody waits
-- for this, nor this for anybody: the next word is written, or the job's end.
UPDATE procrastinate_jobs AS job
SET progress = CAST(said.progress AS jsonb) || jsonb_build_object('at', clock_timestamp())
FROM unnest(
    CAST(%(ids)s AS bigint[]),
    CAST(%(tokens)s AS integer[]),
    CAST(%(owners)s AS bigint[]),
    CAST(%(progresses)s AS text[])
) AS said (id, token, owner, progress)
WHERE
    job.id = said.id
    AND job.claims = said.token
    AND job.worker_id IS NOT DISTINCT FROM said.owner
    AND job.status = 'doing'
    AND job.id = ANY(ARRAY(
        SELECT held.id
        FROM procrastinate_jobs AS held
        WHERE held.id = ANY(CAST(%(ids)s AS bigint[])) AND held.status = 'doing'
        FOR NO KEY UPDATE SKIP LOCKED
    ))
RETURNING job.id
