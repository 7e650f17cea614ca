-- What an app of the Celery door sends: calls, results, headers of chords, saved groups. All of it; or nothing, if a queue
-- has no room for its calls: it is returned.
WITH sent AS (
    SELECT
        call.value ->> 'queue' AS queue,
        CAST(count(*) FILTER (WHERE call.value -> 'at' IS NULL AND call.value -> 'delay' IS NULL) AS integer) AS more
    FROM jsonb_array_elements(CAST(%(effects)s AS jsonb) -> 'calls') AS call
    WHERE
        CAST(%(capped)s AS boolean)
        AND call.value ->> 'queue' IN (SELECT cap.queue_name FROM workrow.queue_caps AS cap)
    GROUP BY call.value ->> 'queue'
),

refused AS MATERIALIZED (
    SELECT min(sent.queue) AS queue
    FROM sent
    WHERE workrow.queue_is_full_v1(sent.queue, sent.more)
)

SELECT
    refused.queue,
    CASE
        WHEN refused.queue IS NULL
            THEN CAST(workrow.celery_write_v1(ARRAY[CAST(%(effects)s AS jsonb)]) AS text)
    END AS done
FROM refused
