-- As finish_jobs, of calls of Celery tasks: with what follows from their ends.
{ended_outcomes},

sequel AS MATERIALIZED (
    SELECT CAST(workrow.celery_write_v1(array_agg(CAST(given.sequel AS jsonb) ORDER BY given.n)) AS text) AS done
    FROM unnest(
        CAST(%(ids)s AS bigint[]), CAST(%(tokens)s AS integer[]), CAST(%(sequels)s AS text[])
    ) WITH ORDINALITY AS given (id, token, sequel, n)
    INNER JOIN ended ON given.id = ended.id AND given.token = ended.claims
    WHERE given.sequel IS NOT NULL
)

{kept_outcomes}
-- once, before the first row
WHERE (SELECT true FROM told) AND (SELECT true FROM sequel)
RETURNING id
