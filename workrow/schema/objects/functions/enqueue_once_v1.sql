-- Enqueue under a rule: one row for each element of "args", with the job that was inserted for it or found. Raises
-- nothing, so that the caller's transaction stays usable: "verdict" is "created" or "found"; or, of a call that enqueued
-- nothing at all, "conflict" (on_conflict is "raise"), "locked" (its queueing lock is taken), "full" (the queue's cap) or "busy" (jobs with
-- the key came and went a hundred times).
--
-- A key is held by the row that has it, from its INSERT on: whoever inserts the same one waits for the end of that
-- transaction, and then finds the row, or inserts. That settles `within` too: once a row holds the key, whatever had it
-- before is in the history, where the next statement sees it.
CREATE OR REPLACE FUNCTION workrow.enqueue_once_v1(job jsonb, rule jsonb, args jsonb, keys text[], lines text[] DEFAULT '{}')
RETURNS TABLE (place integer, job_id bigint, verdict text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_variable
DECLARE
    same procrastinate_jobs := jsonb_populate_record(CAST(NULL AS procrastinate_jobs), job);
    lifetime interval := CAST(job ->> 'lifetime' AS double precision) * INTERVAL '1 second';
    kind text := coalesce(rule ->> 'kind', 'none');
    conflict text := coalesce(rule ->> 'on_conflict', 'skip');
    changes boolean := conflict IN ('replace', 'reschedule', 'debounce');
    within boolean := rule ->> 'within' IS NOT NULL;
    total integer := jsonb_array_length(args);
    pending integer[];
    new_places integer[] := '{}';
    new_ids bigint[] := '{}';
    old_places integer[] := '{}';
    old_ids bigint[] := '{}';
    places integer[];
    ids bigint[];
    late bigint[];
BEGIN
    IF kind = 'throttle' THEN
        pending := workrow.admit_v1(rule, keys);
    END IF;
    -- again only where the job that held a key ended between two statements
    FOR _ IN 1..100 LOOP
        IF within THEN
            SELECT found.places, found.ids INTO places, ids FROM workrow.find_finished_v1(rule, keys, pending) AS found;
            old_places := old_places || places;
            old_ids := old_ids || ids;
            pending := workrow.others_v1(total, old_places || new_places);
        END IF;
        SELECT array_agg(done.place), array_agg(done.id) INTO places, ids
        FROM workrow.insert_once_v1(same, rule, args, keys, lines, pending, lifetime) AS done;
        IF within AND places IS NOT NULL THEN
            -- one may have ended since we looked
            SELECT
                array_agg(fresh.place) FILTER (WHERE ended.id IS NULL),
                array_agg(fresh.id) FILTER (WHERE ended.id IS NULL),
                array_agg(fresh.id) FILTER (WHERE ended.id IS NOT NULL),
                old_places || array_agg(fresh.place) FILTER (WHERE ended.id IS NOT NULL),
                old_ids || array_agg(ended.id) FILTER (WHERE ended.id IS NOT NULL)
            INTO places, ids, late, old_places, old_ids
            FROM unnest(places, ids) AS fresh (place, id)
            LEFT JOIN (
                SELECT past.place, past.id
                FROM workrow.find_finished_v1(rule, keys, places) AS found,
                    unnest(found.places, found.ids) AS past (place, id)
            ) AS ended ON ended.place = fresh.place;
            DELETE FROM procrastinate_jobs WHERE id = ANY(late);
        END IF;
        new_places := new_places || places;
        new_ids := new_ids || ids;
        EXIT WHEN cardinality(new_places) + cardinality(old_places) = total OR kind IN ('none', 'throttle');
        pending := workrow.others_v1(total, old_places || new_places);
        SELECT found.places, found.ids INTO places, ids
        FROM workrow.find_live_v1(rule, keys, pending, changes) AS found;
        old_places := old_places || places;
        old_ids := old_ids || ids;
        EXIT WHEN cardinality(new_places) + cardinality(old_places) = total;
        pending := workrow.others_v1(total, old_places || new_places);
    END LOOP;

    verdict := CASE
        WHEN kind = 'none' AND cardinality(new_places) < total THEN 'locked'
        WHEN kind <> 'throttle' AND cardinality(new_places) + cardinality(old_places) < total THEN 'busy'
        WHEN conflict = 'raise' AND cardinality(new_places) < total THEN 'conflict'
        WHEN cardinality(new_places) > 0 AND workrow.queue_is_full_v1(same.queue_name, 0) THEN 'full'
    END;
    IF verdict IS NOT NULL THEN
        DELETE FROM procrastinate_jobs WHERE id = ANY(new_ids);
        RETURN QUERY SELECT coalesce(old_places[1], 0), old_ids[1], verdict;
        RETURN;
    END IF;
    IF kind = 'throttle' THEN
        PERFORM workrow.admitted_v1(rule, keys, new_places, new_ids);
        SELECT coalesce(found.places, '{}'), coalesce(found.ids, '{}') INTO old_places, old_ids
        FROM workrow.find_throttled_v1(keys, new_places) AS found;
    ELSIF changes AND cardinality(old_places) > 0 THEN
        PERFORM workrow.change_waiting_v1(same, rule, args, lines, old_places, old_ids, lifetime);
    END IF;
    RETURN QUERY
    SELECT fresh.place, fresh.id, 'created' FROM unnest(new_places, new_ids) AS fresh (place, id)
    UNION ALL
    SELECT known.place, known.id, 'found' FROM unnest(old_places, old_ids) AS known (place, id);
END;
$$
