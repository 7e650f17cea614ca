-- Calls of Celery tasks are not to run: those of these ids, or those that are stamped with a header of one of these values.
-- What waits ends as REVOKED; what runs is ended with "terminate", and goes on without; what is still to come does not start.
-- Returns how many waited or were terminated.
CREATE OR REPLACE FUNCTION workrow.celery_revoke_v1(
    ids text[], header text, vals jsonb, terminate boolean, exception jsonb, lasts double precision
) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    job record;
    touched bigint := 0;
BEGIN
    IF header IS NULL THEN
        INSERT INTO workrow.celery_revoked (task_id) SELECT DISTINCT unnest(ids);
    ELSE
        INSERT INTO workrow.celery_revoked (header, value) SELECT celery_revoke_v1.header, jsonb_array_elements(vals);
    END IF;
    PERFORM pg_notify('workrow_celery', '') WHERE {room_to_notify};
    PERFORM set_config('workrow.celery_revokes', 'on', true);
    FOR job IN
        SELECT own.id, own.status, own.args, own.queue_name, own.task_name
        FROM procrastinate_jobs AS own
        WHERE own.id = ANY(ARRAY(
            -- what waits has an index
            SELECT waiting.id
            FROM unnest(ids) AS wanted (task_id)
            INNER JOIN procrastinate_jobs AS waiting ON waiting.args ->> 'id' = wanted.task_id
            WHERE waiting.status = 'todo' AND jsonb_exists(waiting.args, 'root_id')
            UNION ALL
            SELECT running.id
            FROM procrastinate_jobs AS running
            WHERE terminate AND running.status = 'doing' AND running.args ->> 'id' = ANY(ids)
            UNION ALL
            SELECT stamped.id
            FROM procrastinate_jobs AS stamped
            WHERE
                celery_revoke_v1.header IS NOT NULL
                AND stamped.status IN ('todo', 'doing')
                AND EXISTS (
                    SELECT FROM jsonb_array_elements(
                        CASE jsonb_typeof(stamped.args -> 'stamps' -> celery_revoke_v1.header)
                            WHEN 'array' THEN stamped.args -> 'stamps' -> celery_revoke_v1.header
                            ELSE jsonb_build_array(stamped.args -> 'stamps' -> celery_revoke_v1.header)
                        END
                    ) AS stamp
                    INNER JOIN jsonb_array_elements(vals) AS wanted ON wanted.value = stamp.value
                )
        ))
        ORDER BY own.id
    LOOP
        IF job.status = 'doing' THEN
            IF terminate AND workrow.cancel_job_v1(job.id, true) IS NOT NULL THEN
                touched := touched + 1;
            END IF;
        ELSIF workrow.end_job_v1(job.id, ARRAY['todo']::procrastinate_job_status[], 'cancelled') IS NOT NULL THEN
            touched := touched + 1;
            PERFORM workrow.celery_revoked_v1(job.id, job.task_name, job.queue_name, job.args, exception, lasts);
        END IF;
    END LOOP;
    PERFORM set_config('workrow.celery_revokes', '', true);
    RETURN touched;
END;
$$
