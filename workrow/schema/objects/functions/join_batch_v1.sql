-- Jobs that this transaction has inserted, those with these ids or all after one, become members of a batch: of one that was
-- opened in the same transaction, or that a running job ("in_job") is a member of. Such a one cannot end before the
-- transaction; the batch is not locked, for the transaction may be a long one. Returns NULL; or why they could not, and then
-- they are gone again.
CREATE OR REPLACE FUNCTION workrow.join_batch_v1(
    in_flow bigint, in_job bigint, job_ids bigint[], after_id bigint
) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    batch workrow.flows;
    refused text;
BEGIN
    SELECT * INTO batch FROM workrow.flows WHERE id = in_flow;
    refused := CASE
        WHEN batch.id IS NULL THEN 'unseen'
        WHEN in_job IS NULL AND batch.created_at <> now() THEN 'parted'
        WHEN batch.state <> 'running' THEN batch.state
    END;
    IF refused IS NULL AND in_job IS NOT NULL THEN
        PERFORM FROM procrastinate_jobs AS own
        WHERE own.id = in_job AND own.status = 'doing' AND own.workflow_id = in_flow
        FOR KEY SHARE;
        IF NOT FOUND THEN
            refused := 'over';
        END IF;
    END IF;
    IF refused IS NOT NULL THEN
        DELETE FROM procrastinate_jobs AS job
        WHERE
            (job.id = ANY(job_ids) OR job.id > after_id)
            AND job.created_at = now() AND job.status = 'todo' AND job.workflow_id IS NULL;
        RETURN refused;
    END IF;
    WITH new AS (
        SELECT
            job.id, CAST(nextval('workrow.batch_numbers') AS integer) AS number,
            CASE WHEN batch.paused THEN
                coalesce(CASE WHEN job.line IS NULL THEN job.scheduled_at ELSE job.due_at END, {at_once})
            END AS held_at
        FROM (
            SELECT inserted.id, inserted.line, inserted.scheduled_at, inserted.due_at
            FROM procrastinate_jobs AS inserted
            WHERE
                (inserted.id = ANY(job_ids) OR inserted.id > after_id)
                AND inserted.created_at = now() AND inserted.status = 'todo' AND inserted.workflow_id IS NULL
            ORDER BY inserted.id
        ) AS job
    ),
    joined AS (
        UPDATE procrastinate_jobs AS job
        SET
            workflow_id = in_flow,
            workflow_node = new.number,
            held_at = new.held_at,
            scheduled_at = CASE WHEN batch.paused THEN {far_future} ELSE job.scheduled_at END,
            due_at = CASE WHEN batch.paused AND job.line IS NOT NULL THEN {far_future} ELSE job.due_at END
        FROM new
        WHERE job.id = new.id
        RETURNING job.id, new.number, job.task_name, job.queue_name, job.line
    )
    INSERT INTO workrow.flow_nodes (flow_id, number, kind, state, pending, kept, spec, line, job_id)
    SELECT
        in_flow, joined.number, 'task', 'enqueued', 0, false,
        jsonb_build_object('task', joined.task_name, 'queue', joined.queue_name),
        joined.line, joined.id
    FROM joined;
    RETURN NULL;
END;
$$
