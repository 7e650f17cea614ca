-- Which jobs of these lines may run now, at most how_many: the highest priority first, and lines of the same priority in
-- turns, in proportion to their weights. A job takes room in each bucket of its line; one whose lock is held is passed.
-- The caller holds the lines and the buckets. left_over: the room that is left in each of rooms.
CREATE OR REPLACE FUNCTION workrow.choose_jobs_v1(picked text[], rooms workrow.limit_room[], how_many integer, OUT chosen bigint[], OUT left_over double precision[])
LANGUAGE plpgsql
AS $$
DECLARE
    locks text[] := '{}';
    share integer := greatest(1, ceil(2.0 * how_many / cardinality(picked)));
    candidate record;
    place integer;
    open boolean;
BEGIN
    chosen := '{}';
    left_over := ARRAY(SELECT each.room FROM unnest(rooms) AS each);
    FOR candidate IN
        SELECT job.id, job.lock, own.places
        FROM (
            SELECT
                line.line,
                line.turn,
                array_agg(CAST(named.place AS integer)) AS places,
                min(named.room) AS room,
                max(named.weight) AS weight
            FROM workrow.lines AS line
            CROSS JOIN unnest(line.buckets) AS bucket
            INNER JOIN unnest(rooms) WITH ORDINALITY AS named (bucket, room, weight, again_at, counted, tokens, asked_at, cell, place)
                ON named.bucket = bucket.bucket
            WHERE line.line = ANY(picked)
            GROUP BY line.line
        ) AS own
        CROSS JOIN LATERAL (
            SELECT waiting.id, waiting.lock, waiting.priority, row_number() OVER () AS n
            FROM (
                SELECT first.id, first.lock, first.priority
                FROM procrastinate_jobs AS first
                WHERE first.status = 'todo' AND first.line = own.line AND first.due_at IS NULL
                    AND (first.lock IS NULL OR NOT EXISTS (
                        SELECT
                        FROM procrastinate_jobs AS holder
                        WHERE holder.status = 'doing' AND holder.lock = first.lock
                    ))
                ORDER BY first.priority DESC, coalesce(first.staged_at, first.created_at), first.id
                LIMIT least(own.room, ceil(share * own.weight), how_many)
            ) AS waiting
        ) AS job
        ORDER BY job.priority DESC, own.turn + job.n / own.weight, job.id
    LOOP
        EXIT WHEN cardinality(chosen) >= how_many;
        open := true;
        FOREACH place IN ARRAY candidate.places LOOP
            open := open AND left_over[place] >= 1;
        END LOOP;
        CONTINUE WHEN NOT open;
        IF candidate.lock IS NOT NULL THEN
            CONTINUE WHEN candidate.lock = ANY(locks);
            locks := locks || candidate.lock;
        END IF;
        FOREACH place IN ARRAY candidate.places LOOP
            left_over[place] := left_over[place] - 1;
        END LOOP;
        chosen := chosen || candidate.id;
    END LOOP;
END;
$$
