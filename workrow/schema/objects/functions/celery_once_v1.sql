-- A call of a Celery task under a rule: "created", or "found" with the id of the call that is there; or why it is neither,
-- as enqueue_once_v1 says. With "replace" the call that waits gets what the new one carries, and keeps its own id: somebody
-- waits for the result.
CREATE OR REPLACE FUNCTION workrow.celery_once_v1(
    job jsonb, rule jsonb, call jsonb, key text, line text, OUT verdict text, OUT task_id text
)
LANGUAGE plpgsql
AS $$
DECLARE
    replaces boolean := rule ->> 'on_conflict' = 'replace';
    lines text[] := CASE WHEN line IS NULL THEN '{}' ELSE ARRAY[line] END;
    found_id bigint;
    known jsonb;
BEGIN
    IF EXISTS (SELECT FROM workrow.celery_revoked AS revoked WHERE revoked.task_id = call ->> 'id') THEN
        call := call || '{"revoked": true}';
    END IF;
    -- again where what was found will not run, or is gone, history and all
    FOR _ IN 1..100 LOOP
        SELECT once.verdict, once.job_id INTO verdict, found_id
        FROM workrow.enqueue_once_v1(
            job, CASE WHEN replaces THEN rule || '{"on_conflict": "skip"}' ELSE rule END,
            jsonb_build_array(call), ARRAY[key], lines
        ) AS once;
        IF verdict NOT IN ('found', 'conflict') THEN
            task_id := call ->> 'id';
            RETURN;
        END IF;
        IF EXISTS (
            SELECT FROM procrastinate_jobs
            WHERE
                id = found_id
                AND (jsonb_exists(args, 'revoked') OR CAST(args ->> 'expires' AS timestamptz) <= clock_timestamp())
        ) AND workrow.end_job_v1(found_id, ARRAY['todo']::procrastinate_job_status[], 'cancelled') IS NOT NULL THEN
            verdict := 'busy';
            CONTINUE;
        END IF;
        IF replaces THEN
            SELECT args INTO known FROM procrastinate_jobs WHERE id = found_id AND status = 'todo' FOR UPDATE;
            IF FOUND THEN
                PERFORM workrow.change_waiting_v1(
                    jsonb_populate_record(CAST(NULL AS procrastinate_jobs), job), rule,
                    jsonb_build_array(known || (call - ARRAY['id', 'root_id', 'parent_id'])),
                    lines, ARRAY[1], ARRAY[found_id], NULL
                );
            END IF;
        END IF;
        SELECT args ->> 'id' INTO task_id FROM procrastinate_jobs WHERE id = found_id;
        EXIT WHEN FOUND;
        SELECT args ->> 'id' INTO task_id FROM workrow.history WHERE id = found_id;
        IF FOUND THEN
            -- a run that asks for a retry has succeeded as a job; what counts is how the last one has ended
            EXIT WHEN NOT EXISTS (
                SELECT FROM workrow.history AS later
                WHERE
                    later.unique_key = key
                    AND later.id > found_id
                    AND later.args ->> 'id' = celery_once_v1.task_id
                    AND NOT rule -> 'states' ? CAST(later.status AS text)
            );
            rule := rule - ARRAY['within', 'states'];
        END IF;
        verdict := 'busy';
    END LOOP;
END;
$$
