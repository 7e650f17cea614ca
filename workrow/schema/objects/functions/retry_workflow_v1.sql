-- Let a workflow that has failed, or was cancelled, go on from where it stopped: what had succeeded is kept, what came after
-- a failure is done anew. Returns "running"; "blocked", when a newer job waits under the key of one of its jobs; "never: ...", when one
-- was deleted, and its arguments with it, or has succeeded, but its result was not kept; NULL, when it has not ended so, or was compensated.
CREATE OR REPLACE FUNCTION workrow.retry_workflow_v1(in_flow bigint) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    bad integer[];
    again integer[];
    calls integer[];
    node record;
    verdict text;
    untold boolean := false;
BEGIN
    UPDATE workrow.flows AS flow
    SET state = 'running', ended_at = NULL, failed_node = NULL
    WHERE
        flow.id = in_flow
        AND flow.state IN ('failed', 'cancelled')
        AND NOT EXISTS (
            SELECT FROM workrow.flow_nodes AS undo
            WHERE undo.flow_id = in_flow AND undo.fires = 'undo' AND undo.job_id IS NOT NULL
        )
    RETURNING flow.callbacks INTO calls;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    again := ARRAY(
        WITH RECURSIVE later (number) AS (
            SELECT next.number
            FROM workrow.flow_nodes AS failed
            CROSS JOIN LATERAL unnest(failed.dependents || failed.callbacks) AS next (number)
            WHERE
                failed.flow_id = in_flow AND failed.state IN ('failed', 'cancelled') AND failed.fires IS NULL
                -- what it was appended to went on without it, and has no arguments any more
                AND NOT EXISTS (
                    SELECT FROM workrow.flow_nodes AS grown
                    WHERE
                        grown.flow_id = in_flow AND grown.number = next.number AND grown.number = failed.appended_to
                        AND grown.state = 'succeeded'
                )
            UNION
            SELECT next.number
            FROM later
            INNER JOIN workrow.flow_nodes AS before ON before.flow_id = in_flow AND before.number = later.number
            CROSS JOIN LATERAL unnest(before.dependents || before.callbacks) AS next (number)
        )
        SELECT later.number FROM later
    );
    bad := ARRAY(
        SELECT failed.number FROM workrow.flow_nodes AS failed
        WHERE
            failed.flow_id = in_flow AND failed.state IN ('failed', 'cancelled') AND failed.fires IS NULL
            AND failed.number <> ALL(again)
    );
    -- what came after a failure waits again, and so do callbacks and compensations; what others took the place of waits for them
    UPDATE workrow.flow_nodes AS later
    SET
        state = CASE WHEN later.state = 'expanded' THEN 'expanded' ELSE 'waiting' END,
        job_id = CASE WHEN later.state = 'expanded' THEN later.job_id END,
        replaced_by = CASE WHEN later.state = 'expanded' THEN later.replaced_by END,
        ended_at = NULL,
        error = NULL,
        pending = CASE WHEN later.fires IS NULL THEN 0 ELSE 1 END
    WHERE
        later.flow_id = in_flow AND (later.number = ANY(again) OR later.fires = 'undo' OR later.number = ANY(calls));
    UPDATE workrow.flow_nodes AS later
    SET pending = waits.times
    FROM (
        SELECT next.number, count(*) AS times
        FROM workrow.flow_nodes AS before
        CROSS JOIN LATERAL unnest(before.dependents) AS next (number)
        WHERE before.flow_id = in_flow AND before.state NOT IN ('succeeded', 'skipped')
        GROUP BY next.number
    ) AS waits
    WHERE later.flow_id = in_flow AND later.number = waits.number AND later.number = ANY(again);
    -- a batch looks at all of its members again
    UPDATE workrow.flow_nodes SET state = 'waiting', pending = -1, ended_at = NULL
    WHERE flow_id = in_flow AND number = 0 AND kind = 'batch';
    FOR node IN
        SELECT failed.number, failed.job_id, failed.args, failed.spec ->> 'task' AS task, failed.error
        FROM workrow.flow_nodes AS failed
        WHERE failed.flow_id = in_flow AND failed.number = ANY(bad)
    LOOP
        verdict := workrow.return_job_v1(node.job_id, in_flow, node.number);
        IF verdict = 'blocked' THEN
            RAISE 'blocked' USING ERRCODE = 'unique_violation';
        ELSIF node.error ->> 'type' IN ('workrow.ResultNotKept', 'workrow.StockWorker') THEN
            RAISE 'never: its job % (%, node %) has succeeded, and will not run again, but its result was not kept: %',
                node.job_id, node.task, node.number, node.error ->> 'message' USING ERRCODE = 'no_data_found';
        ELSIF verdict IS NULL AND node.args IS NULL THEN
            RAISE 'never: its job % (%, node %) was deleted, and its arguments with it', node.job_id, node.task, node.number
                USING ERRCODE = 'no_data_found';
        END IF;
        untold := untold OR verdict = 'succeeded';
        UPDATE workrow.flow_nodes
        SET state = CASE WHEN verdict IS NULL THEN 'waiting' ELSE 'enqueued' END, ended_at = NULL, error = NULL
        WHERE flow_id = in_flow AND number = node.number;
    END LOOP;
    IF untold THEN
        PERFORM workrow.tell_ends_v1(in_flow);
    END IF;
    PERFORM workrow.resume_nodes_v1(in_flow);
    RETURN 'running';
EXCEPTION WHEN unique_violation THEN
    RETURN 'blocked';
WHEN no_data_found THEN
    RETURN SQLERRM;
END;
$$
