-- The end of a job whose task returned a workflow, which takes its place; fenced as finish_jobs is.
SELECT id
FROM workrow.replace_job_v1(
    CAST(%(id)s AS bigint), CAST(%(worker_id)s AS bigint), CAST(%(token)s AS integer), CAST(%(worker)s AS text),
    CAST(%(flow)s AS jsonb), CAST(%(args)s AS jsonb)
) AS id
WHERE id IS NOT NULL
