-- As finish_jobs, of calls of Celery tasks: with what follows from their ends.
{ended_outcomes},

sequel AS MATERIALIZED (
    SELECT CAST(workrow.celery_write_v1(array_agg(
        CASE
            WHEN ended.unique_key IS NULL THEN given.sequel
            -- a retry is the same call: it keeps the key, which nobody could take meanwhile
            ELSE given.sequel
                || jsonb_build_object('held', jsonb_build_object('id', ended.args -> 'id', 'key', ended.unique_key))
        END
        ORDER BY given.n
    )) AS text) AS done
    FROM ROWS FROM (
        unnest(CAST(%(ids)s AS bigint[])), unnest(CAST(%(tokens)s AS integer[])),
        -- one value, and no array of texts: each quote of those is escaped, and read, once more
        jsonb_array_elements(CAST(%(sequels)s AS jsonb))
    ) WITH ORDINALITY AS given (id, token, sequel, n)
    INNER JOIN ended ON given.id = ended.id AND given.token = ended.claims
)

{kept_outcomes}
-- once, before the first row
WHERE (SELECT true FROM told) AND (SELECT true FROM sequel)
RETURNING id
