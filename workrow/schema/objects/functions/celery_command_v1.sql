-- Tell workers of Celery apps something, or ask them. Returns the command's id, and the ids of the living workers that will
-- read it.
CREATE OR REPLACE FUNCTION workrow.celery_command_v1(
    method text, arguments jsonb, destination text[], pattern text, matcher text
) RETURNS TABLE (command_id bigint, workers bigint[])
LANGUAGE sql
AS $$
    WITH sent AS (
        INSERT INTO workrow.celery_commands (method, arguments, destination, pattern, matcher)
        SELECT
            celery_command_v1.method, celery_command_v1.arguments, celery_command_v1.destination,
            celery_command_v1.pattern, celery_command_v1.matcher
        RETURNING id
    ),
    told AS MATERIALIZED (
        SELECT CAST(pg_notify('workrow_celery', '') AS text) AS done WHERE {room_to_notify}
    )
    SELECT
        sent.id,
        ARRAY(
            SELECT worker.id
            FROM workrow.workers AS worker
            WHERE
                worker.alive
                -- what only workers of these apps have
                AND 'workrow.celery.join' = ANY(worker.tasks)
                AND (celery_command_v1.destination IS NULL OR worker.name = ANY(celery_command_v1.destination))
        )
    FROM sent
    LEFT JOIN told ON true
$$
