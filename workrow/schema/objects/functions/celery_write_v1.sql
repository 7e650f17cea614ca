-- What Celery tasks make happen: calls, results, headers of chords and the ends of their parts, saved groups. Called with
-- what one client sends, or with what the ends of many jobs lead to, in their transaction. In the order of their keys, so
-- that no two of these wait for each other.
CREATE OR REPLACE FUNCTION workrow.celery_write_v1(effects jsonb[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    changed text[];
BEGIN
    IF EXISTS (SELECT FROM unnest(effects) AS effect WHERE effect ? 'calls') THEN
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, scheduled_at, line, due_at, unique_key)
        SELECT
            call.queue, call.task, call.priority,
            CASE
                WHEN EXISTS (SELECT FROM workrow.celery_revoked AS known WHERE known.task_id = call.args ->> 'id')
                    THEN call.args || '{"revoked": true}'
                ELSE call.args
            END,
            CASE WHEN call.line IS NULL THEN call.due_at ELSE {far_future} END,
            call.line,
            CASE WHEN call.line IS NOT NULL THEN call.due_at END,
            -- of the call that has just ended; were there two of its id, the first has it
            CASE
                WHEN call.args -> 'id' = effect.told -> 'held' -> 'id' THEN (
                    SELECT effect.told -> 'held' ->> 'key'
                    FROM jsonb_array_elements(effect.told -> 'calls') WITH ORDINALITY AS same (value, n)
                    WHERE same.value -> 'args' -> 'id' = call.args -> 'id'
                    HAVING min(same.n) = call.n
                )
            END
        FROM unnest(effects) WITH ORDINALITY AS effect (told, n)
        CROSS JOIN LATERAL (
            SELECT
                given.value ->> 'queue' AS queue,
                given.value ->> 'task' AS task,
                CAST(given.value ->> 'priority' AS integer) AS priority,
                given.value -> 'args' AS args,
                given.value ->> 'line' AS line,
                coalesce(
                    CAST(given.value ->> 'at' AS timestamptz),
                    statement_timestamp()
                    + CAST(given.value ->> 'delay' AS double precision) * INTERVAL '1 second'
                ) AS due_at,
                given.n
            FROM jsonb_array_elements(effect.told -> 'calls') WITH ORDINALITY AS given (value, n)
        ) AS call
        ORDER BY effect.n, call.n;
    END IF;

    IF EXISTS (SELECT FROM unnest(effects) AS effect WHERE effect ? 'results') THEN
        INSERT INTO workrow.celery_results AS known (
            task_id, state, value, traceback, children, details, expires_at
        )
        SELECT DISTINCT ON (result.task_id)
            result.task_id, result.state, nullif(result.value, 'null'), result.traceback,
            result.children, result.details, clock_timestamp() + result.lasts * INTERVAL '1 second'
        FROM unnest(effects) WITH ORDINALITY AS effect (told, n)
        CROSS JOIN LATERAL (
            SELECT
                given.value ->> 'task_id' AS task_id,
                given.value ->> 'state' AS state,
                given.value -> 'value' AS value,
                given.value ->> 'traceback' AS traceback,
                given.value -> 'children' AS children,
                given.value -> 'details' AS details,
                CAST(given.value ->> 'lasts' AS double precision) AS lasts,
                given.n
            FROM jsonb_array_elements(effect.told -> 'results') WITH ORDINALITY AS given (value, n)
        ) AS result
        ORDER BY result.task_id, effect.n DESC, result.n DESC
        ON CONFLICT (task_id) DO UPDATE
        SET
            state = excluded.state,
            value = excluded.value,
            traceback = excluded.traceback,
            children = excluded.children,
            details = excluded.details,
            noted_at = excluded.noted_at,
            expires_at = excluded.expires_at
        -- what has succeeded has succeeded, whatever else runs under its id
        WHERE known.state <> 'SUCCESS';
    END IF;

    IF EXISTS (SELECT FROM unnest(effects) AS effect WHERE effect ? 'groups') THEN
        INSERT INTO workrow.celery_groups (group_id, members, expires_at)
        SELECT DISTINCT ON (saved.group_id)
            saved.group_id, saved.members, clock_timestamp() + saved.lasts * INTERVAL '1 second'
        FROM unnest(effects) AS effect
        CROSS JOIN LATERAL jsonb_to_recordset(effect -> 'groups') AS saved (group_id text, members jsonb, lasts float8)
        ORDER BY saved.group_id
        ON CONFLICT (group_id) DO UPDATE SET members = excluded.members, expires_at = excluded.expires_at;
    END IF;

    IF NOT EXISTS (SELECT FROM unnest(effects) AS effect WHERE effect ?| ARRAY['sizes', 'grown', 'parts', 'sent']) THEN
        RETURN;
    END IF;
    changed := ARRAY(
        SELECT told.value ->> 'group_id'
        FROM unnest(effects) AS effect
        CROSS JOIN LATERAL (
            SELECT value FROM jsonb_array_elements(effect -> 'sizes')
            UNION ALL
            SELECT value FROM jsonb_array_elements(effect -> 'parts')
        ) AS told
    );
    UPDATE workrow.celery_chords
    SET size = size + grown.more
    FROM (
        SELECT told.value ->> 'group_id' AS group_id, count(*) AS more
        FROM unnest(effects) AS effect
        CROSS JOIN jsonb_array_elements(effect -> 'grown') AS told
        GROUP BY told.value ->> 'group_id'
    ) AS grown
    WHERE celery_chords.group_id = grown.group_id AND NOT fired;
    INSERT INTO workrow.celery_chords AS known (group_id, size, ended, body, last_part, queue_name)
    SELECT
        group_id,
        max(size),
        count(task_id),
        (array_agg(body ORDER BY n DESC, m DESC) FILTER (WHERE task_id IS NOT NULL))[1],
        (array_agg(last_part ORDER BY n DESC, m DESC) FILTER (WHERE task_id IS NOT NULL))[1],
        (array_agg(queue ORDER BY n DESC, m DESC) FILTER (WHERE task_id IS NOT NULL))[1]
    FROM unnest(effects) WITH ORDINALITY AS effect (told, n)
    CROSS JOIN LATERAL (
        SELECT
            given.value ->> 'group_id' AS group_id,
            CAST(given.value ->> 'size' AS integer) AS size,
            given.value ->> 'task_id' AS task_id,
            given.value -> 'body' AS body,
            given.value -> 'last_part' AS last_part,
            given.value ->> 'queue' AS queue,
            given.m
        FROM jsonb_array_elements(
            coalesce(effect.told -> 'sizes', '[]') || coalesce(effect.told -> 'parts', '[]')
        ) WITH ORDINALITY AS given (value, m)
    ) AS told
    GROUP BY group_id
    ORDER BY group_id
    ON CONFLICT (group_id) DO UPDATE
    SET
        size = coalesce(known.size, excluded.size),
        ended = known.ended + excluded.ended,
        body = coalesce(excluded.body, known.body),
        last_part = coalesce(excluded.last_part, known.last_part),
        queue_name = coalesce(excluded.queue_name, known.queue_name);
    INSERT INTO workrow.celery_parts (group_id, position, task_id, state, value)
    SELECT part.group_id, part.position, part.task_id, part.state, part.value
    FROM unnest(effects) AS effect
    CROSS JOIN LATERAL jsonb_to_recordset(effect -> 'parts') AS part (
        group_id text, position integer, task_id text, state text, value jsonb
    );
    WITH complete AS (
        UPDATE workrow.celery_chords
        SET fired = true
        WHERE group_id = ANY(changed) AND size = ended AND NOT fired
        RETURNING group_id, body, last_part, queue_name
    )
    INSERT INTO procrastinate_jobs (queue_name, task_name, args)
    SELECT
        queue_name, 'workrow.celery.join',
        jsonb_build_object(
            'id', 'join-' || group_id, 'args', jsonb_build_array(group_id, body, coalesce(last_part, '{}')),
            'kwargs', jsonb_build_object()
        )
    FROM complete;
    DELETE FROM workrow.celery_chords
    USING unnest(effects) AS effect
    WHERE celery_chords.group_id = effect ->> 'sent';
    DELETE FROM workrow.celery_parts
    USING unnest(effects) AS effect
    WHERE celery_parts.group_id = effect ->> 'sent';
END;
$$
