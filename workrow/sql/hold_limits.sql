-- Let nothing start for a time under the limits of a job that runs, fenced as finish_jobs is: under all of them that have a
-- key, or all if none has; or under the one of this name. "guessed": not under one that has neither a key nor a name of its
-- own. It adds rows, and so waits for nobody.
WITH own AS (
    SELECT
        bucket.name AS bucket,
        split_part(bucket.name, '=', 1) AS name,
        strpos(bucket.name, '=') > 0 AS has_key,
        bucket.name <> job.task_name AND NOT bucket.name ^@ 'queue:' AS has_name
    FROM procrastinate_jobs AS job
    CROSS JOIN LATERAL jsonb_array_elements_text(CAST(job.line AS jsonb) - 0 - 0) AS bucket (name)
    WHERE
        job.id = CAST(%(id)s AS bigint)
        AND job.status = 'doing'
        AND job.worker_id = CAST(%(worker_id)s AS bigint)
        AND job.claims = CAST(%(token)s AS integer)
)

INSERT INTO workrow.limit_holds (bucket, until)
SELECT
    own.bucket,
    coalesce(
        CAST(%(at)s AS timestamptz), clock_timestamp() + CAST(%(seconds)s AS double precision) * INTERVAL '1 second'
    )
FROM own
WHERE
    CASE
        WHEN CAST(%(limit)s AS text) IS NULL
            THEN own.has_key OR (
                (own.has_name OR NOT CAST(%(guessed)s AS boolean)) AND NOT EXISTS (SELECT FROM own AS other WHERE other.has_key)
            )
        ELSE own.name = %(limit)s OR own.name ^@ (%(limit)s || '/')
    END
RETURNING bucket, until
