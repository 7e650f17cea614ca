-- The jobs that a job follows, and those that follow it: in its workflow, and by calls. What is between them and no job of its
-- own (it only holds values together) is looked through; what is no job yet is not there.
CREATE OR REPLACE FUNCTION workrow.relatives_v1(job_id bigint) RETURNS TABLE (parents jsonb, children jsonb)
LANGUAGE sql
STABLE
AS $$
    WITH RECURSIVE own AS (
        SELECT live.id, live.workflow_id, live.workflow_node, live.unique_key
        FROM procrastinate_jobs AS live
        WHERE live.id = relatives_v1.job_id
        UNION ALL
        SELECT past.id, past.workflow_id, past.workflow_node, past.unique_key
        FROM workrow.history AS past
        WHERE past.id = relatives_v1.job_id
    ),

    node AS (
        SELECT
            mine.flow_id, mine.number, mine.appended_to,
            array_append(mine.parents, mine.appended_to) AS before,
            mine.dependents || mine.callbacks AS after
        FROM own
        INNER JOIN workrow.flow_nodes AS mine ON mine.flow_id = own.workflow_id AND mine.number = own.workflow_node
    ),

    around (is_parent, flow_id, number) AS (
        SELECT side.is_parent, node.flow_id, given.number
        FROM node
        CROSS JOIN LATERAL (VALUES (true, node.before), (false, node.after)) AS side (is_parent, numbers)
        CROSS JOIN LATERAL unnest(side.numbers) AS given (number)
        UNION
        SELECT around.is_parent, around.flow_id, given.number
        FROM around
        INNER JOIN workrow.flow_nodes AS between_them
            ON between_them.flow_id = around.flow_id AND between_them.number = around.number AND between_them.kind <> 'task'
        CROSS JOIN LATERAL unnest(
            CASE WHEN around.is_parent THEN between_them.parents ELSE between_them.dependents END
        ) AS given (number)
    ),

    relative (is_parent, job_id) AS (
        SELECT around.is_parent, other.job_id
        FROM around
        INNER JOIN workrow.flow_nodes AS other ON other.flow_id = around.flow_id AND other.number = around.number
        WHERE around.is_parent OR NOT EXISTS (SELECT FROM node WHERE node.appended_to = other.number)
        UNION
        SELECT false, other.job_id
        FROM node
        INNER JOIN workrow.flow_nodes AS other ON other.flow_id = node.flow_id
        WHERE other.appended_to = node.number OR other.fires = 'undo' AND other.parents[1] = node.number
        UNION
        SELECT true, CAST(split_part(own.unique_key, ':', 2) AS bigint)
        FROM own
        WHERE own.unique_key ~ '^workrow\.call:[0-9]{1,18}:'
        UNION
        SELECT false, call.child_id
        FROM own
        INNER JOIN workrow.job_steps AS call ON call.job_id = own.id
    )

    SELECT
        jsonb_agg(to_jsonb(job) ORDER BY job.id) FILTER (WHERE relative.is_parent) AS parents,
        jsonb_agg(to_jsonb(job) ORDER BY job.id) FILTER (WHERE NOT relative.is_parent) AS children
    FROM own
    LEFT JOIN relative ON relative.job_id IS NOT NULL
    LEFT JOIN LATERAL (
        SELECT live.id, live.task_name AS task, live.queue_name AS queue
        FROM procrastinate_jobs AS live
        WHERE live.id = relative.job_id
        UNION ALL
        SELECT past.id, past.task_name AS task, past.queue_name AS queue
        FROM workrow.history AS past
        WHERE past.id = relative.job_id
    ) AS job ON true
    WHERE job.id IS NOT NULL OR relative.job_id IS NULL
    GROUP BY own.id
$$
