-- Jobs of a workflow that is held: those that wait are put off to the far future, those that run wait if they come back. Whose rows
-- somebody holds are left out, after so many tries: to wait for one is a deadlock with the end of its job, which waits for the
-- workflow. Those that are there for a moment only, a claim or a retry, are gone after a few.
CREATE OR REPLACE FUNCTION workrow.hold_nodes_v1(in_flow bigint, tries integer) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    FOR try IN 1..tries LOOP
        EXIT WHEN NOT EXISTS (
            SELECT
            FROM workrow.flow_nodes AS node
            INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
            WHERE
                node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL
                AND job.status IN ('todo', 'doing') AND job.held_at IS NULL
        );
        PERFORM pg_sleep(0.005) WHERE try > 1;
        WITH free AS (
            SELECT job.id
            FROM workrow.flow_nodes AS node
            INNER JOIN procrastinate_jobs AS job ON job.id = node.job_id
            WHERE
                node.flow_id = in_flow AND node.state = 'enqueued' AND node.fires IS NULL
                AND job.status IN ('todo', 'doing') AND job.held_at IS NULL
            -- a running job that adds jobs to its workflow, in an open transaction, holds a key share of its row
            FOR NO KEY UPDATE OF job SKIP LOCKED
        )
        UPDATE procrastinate_jobs AS job
        SET
            held_at = CASE
                WHEN job.status = 'todo' THEN coalesce(CASE WHEN job.line IS NULL THEN job.scheduled_at ELSE job.due_at END, {at_once})
                ELSE {at_once}
            END,
            scheduled_at = CASE WHEN job.status = 'todo' THEN {far_future} ELSE job.scheduled_at END,
            due_at = CASE WHEN job.status = 'todo' AND job.line IS NOT NULL THEN {far_future} ELSE job.due_at END,
            staged_at = CASE WHEN job.status = 'todo' THEN NULL ELSE job.staged_at END
        FROM free
        WHERE job.id = free.id;
    END LOOP;
END;
$$
