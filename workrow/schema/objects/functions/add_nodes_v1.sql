-- Write down nodes of a workflow and enqueue those that wait for nobody. They come in runs, one for each element of "args"; with "steps"
-- the numbers that one refers to are one further for each. "appended": the node that the last one is appended
-- to. The numbers of all are of the caller's making. Those of a workflow that is held, or comes to its end, are ready, and no jobs.
CREATE OR REPLACE FUNCTION workrow.add_nodes_v1(in_flow bigint, nodes jsonb, appended integer) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    open CONSTANT boolean := (SELECT flow.state = 'running' AND NOT flow.paused FROM workrow.flows AS flow WHERE flow.id = in_flow);
    missing integer[];
    empty integer[];
BEGIN
    WITH given AS MATERIALIZED (
        SELECT
            in_flow AS flow_id, node.name, node.kind, node.pending, node.kept, node.fires, node.callbacks, node.on_failure,
            node.spec, node.last, call.args,
            CAST(node.number + call.place - 1 AS integer) AS number,
            node.lines ->> CAST(call.place - 1 AS integer) AS line,
            CASE
                WHEN node.steps THEN ARRAY(SELECT before + call.place - 1 FROM unnest(node.dependents) AS before)
                ELSE node.dependents
            END AS dependents,
            CASE
                WHEN node.steps THEN ARRAY(SELECT before + call.place - 1 FROM unnest(node.parents) AS before)
                ELSE node.parents
            END AS parents,
            CASE
                WHEN node.steps AND node.takes IS NOT NULL THEN (
                    SELECT jsonb_object_agg(taken.key, CAST(taken.value AS integer) + call.place - 1)
                    FROM jsonb_each_text(node.takes) AS taken
                )
                ELSE node.takes
            END AS takes,
            CASE
                WHEN node.kind = 'task' AND node.pending = 0 AND node.fires IS NULL AND open
                    THEN nextval(pg_get_serial_sequence('procrastinate_jobs', 'id'))
            END AS job_id
        FROM jsonb_to_recordset(nodes) AS node (
            number integer, name text, kind text, pending integer, dependents integer[], parents integer[], takes jsonb,
            kept boolean, fires text, callbacks integer[], on_failure text, spec jsonb, args jsonb, lines jsonb,
            steps boolean, last boolean
        )
        CROSS JOIN LATERAL jsonb_array_elements(node.args) WITH ORDINALITY AS call (args, place)
    ),
    written AS (
        INSERT INTO workrow.flow_nodes (
            flow_id, number, name, kind, state, pending, dependents, parents, takes, kept, fires, callbacks, on_failure,
            spec, args, line, job_id, appended_to
        )
        SELECT
            given.flow_id, given.number, given.name, given.kind,
            CASE
                WHEN given.job_id IS NOT NULL THEN 'enqueued'
                WHEN given.kind = 'task' AND given.pending = 0 AND given.fires IS NULL THEN 'ready'
                ELSE 'waiting'
            END,
            given.pending, given.dependents, given.parents, given.takes, coalesce(given.kept, false), given.fires,
            given.callbacks, given.on_failure, given.spec,
            -- those of a job are in its row; one whose key is taken gets none at the first try
            CASE WHEN given.job_id IS NULL OR jsonb_exists_any(given.spec, ARRAY['unique_key', 'queueing_lock']) THEN given.args END,
            given.line, given.job_id, CASE WHEN given.last THEN appended END
        FROM given
    ),
    ready AS (
        SELECT * FROM given WHERE given.job_id IS NOT NULL
    ),
    inserted AS (
        {node_job}
    )
    SELECT
        ARRAY(
            SELECT ready.number
            FROM ready
            WHERE
                jsonb_exists_any(ready.spec, ARRAY['unique_key', 'queueing_lock'])
                AND ready.job_id NOT IN (SELECT inserted.id FROM inserted)
        ),
        ARRAY(SELECT given.number FROM given WHERE given.kind <> 'task' AND given.pending = 0)
    INTO missing, empty;
    IF cardinality(missing) > 0 THEN
        UPDATE workrow.flow_nodes SET state = 'waiting', job_id = NULL WHERE flow_id = in_flow AND number = ANY(missing);
        empty := empty || missing;
    END IF;
    IF cardinality(empty) > 0 THEN
        PERFORM workrow.advance_nodes_v1(
            array_fill(in_flow, ARRAY[cardinality(empty)]), empty, array_fill(0, ARRAY[cardinality(empty)])
        );
        PERFORM workrow.settle_workflows_v1(ARRAY[in_flow]);
    END IF;
END;
$$
