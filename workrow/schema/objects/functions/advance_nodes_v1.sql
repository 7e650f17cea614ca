-- Nodes that these nodes waited for have ended, so many each: who waits for nobody any more becomes a job, or, where it only
-- holds values together, has ended too, and so on. The caller holds the workflows. A workflow that is held, or comes to
-- its end, gets no more jobs, except for callbacks and compensations: such a node is ready. One whose unique key is taken is skipped.
CREATE OR REPLACE FUNCTION workrow.advance_nodes_v1(flow_ids bigint[], numbers integer[], times integer[]) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    calling boolean;
    ended_flows bigint[];
    ended_numbers integer[];
BEGIN
    WHILE cardinality(flow_ids) > 0 LOOP
        WITH moved AS (
            UPDATE workrow.flow_nodes AS node
            SET
                pending = node.pending - given.times,
                state = CASE
                    WHEN node.pending > given.times THEN node.state
                    WHEN node.kind <> 'task' OR node.state = 'expanded' THEN 'gathered'
                    WHEN node.fires IS NULL AND (flow.paused OR flow.state <> 'running') THEN 'ready'
                    ELSE 'enqueued'
                END,
                job_id = CASE
                    WHEN
                        node.pending <= given.times AND node.kind = 'task' AND node.state <> 'expanded'
                        AND (node.fires IS NOT NULL OR NOT flow.paused AND flow.state = 'running')
                        THEN nextval(pg_get_serial_sequence('procrastinate_jobs', 'id'))
                    ELSE node.job_id
                END
            FROM unnest(flow_ids, numbers, times) AS given (flow_id, number, times)
            INNER JOIN workrow.flows AS flow ON flow.id = given.flow_id
            WHERE
                node.flow_id = given.flow_id
                AND node.number = given.number
                AND node.state IN ('waiting', 'ready', 'expanded')
            RETURNING node.flow_id, node.number, node.state, node.takes, node.fires, node.parents, node.spec, node.args, node.line, node.job_id
        ),
        ready AS (
            SELECT
                moved.flow_id, moved.number, moved.spec, moved.line, moved.job_id,
                CASE
                    WHEN moved.takes IS NULL THEN moved.args
                    ELSE moved.args || (
                        SELECT jsonb_object_agg(
                            taken.argument,
                            CASE
                                WHEN moved.fires = 'failure' THEN workrow.failure_of_node_v1(giver)
                                WHEN moved.fires = 'end' AND moved.parents = '{}' THEN (
                                    SELECT jsonb_build_object('workflow_id', whole.id, 'state', whole.state)
                                    FROM workrow.flows AS whole
                                    WHERE whole.id = moved.flow_id
                                )
                                ELSE coalesce(giver.result, 'null')
                            END
                        )
                        FROM jsonb_each_text(moved.takes) AS taken (argument, number)
                        INNER JOIN workrow.flow_nodes AS giver
                            ON giver.flow_id = moved.flow_id AND giver.number = CAST(taken.number AS integer)
                    )
                END AS args
            FROM moved
            WHERE moved.state = 'enqueued'
            ORDER BY moved.flow_id, moved.number
        ),
        inserted AS (
            {node_job}
        ),
        ended AS (
            SELECT moved.flow_id, moved.number FROM moved WHERE moved.state = 'gathered'
            UNION ALL
            SELECT ready.flow_id, ready.number
            FROM ready
            WHERE
                jsonb_exists_any(ready.spec, ARRAY['unique_key', 'queueing_lock'])
                AND ready.job_id NOT IN (SELECT inserted.id FROM inserted)
        )
        SELECT array_agg(ended.flow_id), array_agg(ended.number) INTO ended_flows, ended_numbers FROM ended;
        EXIT WHEN ended_flows IS NULL;

        WITH ended AS (
            UPDATE workrow.flow_nodes AS node
            SET
                state = CASE WHEN node.state = 'gathered' THEN 'succeeded' ELSE 'skipped' END,
                ended_at = clock_timestamp(),
                result = CASE WHEN node.kept THEN workrow.value_of_node_v1(node) END
            FROM unnest(ended_flows, ended_numbers) AS given (flow_id, number)
            WHERE node.flow_id = given.flow_id AND node.number = given.number
            RETURNING node.flow_id, node.dependents, node.callbacks
        ),
        hits AS (
            SELECT ended.flow_id, dependent.number, CAST(count(*) AS integer) AS times
            FROM ended
            CROSS JOIN LATERAL unnest(ended.dependents) AS dependent (number)
            GROUP BY ended.flow_id, dependent.number
        )
        SELECT
            (SELECT bool_or(ended.callbacks IS NOT NULL) FROM ended),
            array_agg(hits.flow_id), array_agg(hits.number), array_agg(hits.times)
        INTO calling, flow_ids, numbers, times
        FROM hits;
        IF calling THEN
            PERFORM workrow.call_back_v1(ended_flows, ended_numbers);
        END IF;
    END LOOP;
END;
$$
