-- As finish_jobs, of calls of Celery tasks: with what follows from their ends.
{ended_outcomes},

sequel AS MATERIALIZED (
    SELECT CAST(workrow.celery_write_v1(array_agg(
        CASE
            WHEN ended.unique_key IS NULL THEN CAST(given.sequel AS jsonb)
            -- a retry is the same call: it keeps the key, which nobody could take meanwhile
            ELSE CAST(given.sequel AS jsonb)
                || jsonb_build_object('held', jsonb_build_object('id', ended.args -> 'id', 'key', ended.unique_key))
        END
        ORDER BY given.n
    )) AS text) AS done
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
