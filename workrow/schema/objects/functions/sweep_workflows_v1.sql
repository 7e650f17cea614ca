-- What no end of a job tells: jobs of workflows that were deleted by hand or ended by a worker of an earlier version, what
-- is left to cancel of those that come to their end, and what transactions that were open during a pause or a resume have added,
-- or held. Looks at so many workflows that have not ended, from this id on; returns the id to go on from, 0 after the last.
CREATE OR REPLACE FUNCTION workrow.sweep_workflows_v1(after_id bigint DEFAULT 0, max_rows integer DEFAULT 100) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    flow record;
    looked integer := 0;
    patience CONSTANT text := current_setting('lock_timeout');
BEGIN
    FOR flow IN
        SELECT each.id, each.state, each.paused
        FROM workrow.flows AS each
        WHERE each.ended_at IS NULL AND each.id > after_id
        ORDER BY each.id
        LIMIT max_rows
        FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        looked := looked + 1;
        after_id := flow.id;
        BEGIN
            PERFORM workrow.tell_ends_v1(flow.id);
            IF flow.state = 'running' AND NOT flow.paused THEN
                PERFORM workrow.free_nodes_v1(flow.id, 1);
                -- which settles it, too: also a batch whose members were all rolled back to a savepoint
                PERFORM workrow.resume_nodes_v1(flow.id);
            ELSE
                IF flow.state = 'running' THEN
                    PERFORM workrow.hold_nodes_v1(flow.id, 1);
                ELSIF flow.state IN ('stopping', 'cancelling') THEN
                    PERFORM workrow.cancel_node_jobs_v1(flow.id, 5000);
                END IF;
                PERFORM workrow.settle_workflows_v1(ARRAY[flow.id]);
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            -- somebody's open transaction has the key of its next job; of others like it, each would take as long
            PERFORM set_config('lock_timeout', '2ms', true);
        WHEN OTHERS THEN
            IF workrow.is_passing_v1(SQLSTATE) THEN
                RAISE;
            END IF;
            PERFORM workrow.break_workflow_v1(flow.id, NULL, SQLERRM);
        END;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN CASE WHEN looked < max_rows THEN 0 ELSE after_id END;
END;
$$
