-- Of these calls those whose key a live job has, and its id; with "lock" its row is locked. One whose time is over ends
-- here, as the sweep would end it, so that its key is free.
CREATE OR REPLACE FUNCTION workrow.find_live_v1(
    rule jsonb, keys text[], wanted integer[], lock boolean, OUT places integer[], OUT ids bigint[]
)
LANGUAGE plpgsql
AS $$
DECLARE
    given_keys text[];
    given_places integer[];
BEGIN
    SELECT array_agg(given.key), array_agg(given.place) INTO given_keys, given_places
    FROM unnest(keys) WITH ORDINALITY AS given (key, place)
    WHERE given.place = ANY(wanted);
    IF rule ->> 'kind' = 'waiting' THEN
        PERFORM workrow.end_job_v2(
            job.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled', workrow.expiry_v1(job.expires_at, job.attempts), NULL
        )
        FROM unnest(given_keys) AS given (key)
        INNER JOIN procrastinate_jobs AS job ON job.queueing_lock = 'unique:' || given.key AND job.status = 'todo'
        WHERE job.expires_at <= clock_timestamp();
        IF lock THEN
            PERFORM job.id
            FROM unnest(given_keys) AS given (key)
            INNER JOIN procrastinate_jobs AS job ON job.queueing_lock = 'unique:' || given.key AND job.status = 'todo'
            ORDER BY job.queueing_lock COLLATE "C"
            FOR UPDATE OF job;
        END IF;
        SELECT array_agg(given.place), array_agg(job.id) INTO places, ids
        FROM unnest(given_keys, given_places) AS given (key, place)
        INNER JOIN procrastinate_jobs AS job ON job.queueing_lock = 'unique:' || given.key AND job.status = 'todo';
    ELSE
        PERFORM workrow.end_job_v2(
            job.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled', workrow.expiry_v1(job.expires_at, job.attempts), NULL
        )
        FROM unnest(given_keys) AS given (key)
        INNER JOIN procrastinate_jobs AS job ON job.unique_key = given.key AND job.status = 'todo'
        WHERE job.expires_at <= clock_timestamp();
        IF lock THEN
            PERFORM job.id
            FROM unnest(given_keys) AS given (key)
            INNER JOIN procrastinate_jobs AS job ON job.unique_key = given.key AND job.status IN ('todo', 'doing')
            ORDER BY job.unique_key COLLATE "C"
            FOR UPDATE OF job;
        END IF;
        SELECT array_agg(given.place), array_agg(job.id) INTO places, ids
        FROM unnest(given_keys, given_places) AS given (key, place)
        INNER JOIN procrastinate_jobs AS job ON job.unique_key = given.key AND job.status IN ('todo', 'doing');
    END IF;
END;
$$
