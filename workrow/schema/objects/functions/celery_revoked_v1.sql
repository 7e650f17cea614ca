-- A call of a Celery task that waited has ended without a run: its result is REVOKED, its chord knows, and a worker tells who
-- listens. "exception" is what the result holds, "lasts" how many seconds.
CREATE OR REPLACE FUNCTION workrow.celery_revoked_v1(
    job_id bigint, task_name text, queue_name text, args jsonb, exception jsonb, lasts double precision
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO workrow.celery_untold (job_id, task_name, queue_name, args)
    VALUES (
        celery_revoked_v1.job_id, celery_revoked_v1.task_name, celery_revoked_v1.queue_name, celery_revoked_v1.args
    )
    ON CONFLICT ON CONSTRAINT celery_untold_pkey DO NOTHING;
    PERFORM workrow.celery_write_v1(ARRAY[
        CASE
            WHEN coalesce(CAST(args ->> 'ignore_result' AS boolean), false) THEN '{}'
            ELSE jsonb_build_object('results', jsonb_build_array(jsonb_build_object(
                'task_id', args ->> 'id', 'state', 'REVOKED', 'value', exception, 'lasts', lasts
            )))
        END
        || CASE
            WHEN args ->> 'group' IS NULL OR jsonb_typeof(args -> 'chord') IS DISTINCT FROM 'object' THEN '{}'
            ELSE jsonb_build_object('parts', jsonb_build_array(jsonb_build_object(
                'group_id', args ->> 'group', 'position', args -> 'group_index',
                'task_id', args ->> 'id', 'state', 'REVOKED', 'value', exception,
                'body', args -> 'chord', 'queue', queue_name
            )))
        END
    ]);
END;
$$
