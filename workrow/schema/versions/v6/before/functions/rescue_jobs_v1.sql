-- Give the jobs of dead workers back to the queue. Dead is who has been silent for longer than its lease (a stock worker:
-- 30 s, procrastinate's default), or whose row is gone. A job is known to have run in the moment of its worker's death if
-- its start was marked; the first crash counts without a mark, so that jobs which merely waited beside the culprit get
-- no further than one.
CREATE OR REPLACE FUNCTION workrow.rescue_jobs_v1(max_crashes integer DEFAULT 3, max_rows integer DEFAULT 1000)
RETURNS TABLE (job_id bigint, task text, queue text, worker text, verdict text)
LANGUAGE plpgsql
AS $$
DECLARE
    dead bigint[];
    orphan record;
    queued text[] := '{}';
BEGIN
    -- whoever beats in this moment is skipped; who beats a moment later finds its row gone
    dead := ARRAY(
        SELECT silent.id
        FROM procrastinate_workers AS silent
        LEFT JOIN workrow.worker_details AS details ON details.worker_id = silent.id
        WHERE silent.last_heartbeat < clock_timestamp() - coalesce(details.lease, INTERVAL '30 seconds')
        FOR UPDATE OF silent SKIP LOCKED
    );
    FOR orphan IN
        SELECT
            job.id, job.task_name, job.queue_name, job.worker_id, job.started_at,
            job.crashes = 0 OR coalesce(job.marked = job.claims, false) AS counted,
            coalesce(details.name, 'worker') || ' ' || coalesce(CAST(job.worker_id AS text), '(gone)') AS name,
            coalesce(details.death, 'lost heartbeat') AS death
        FROM procrastinate_jobs AS job
        LEFT JOIN workrow.worker_details AS details ON details.worker_id = job.worker_id
        WHERE
            job.status = 'doing'
            AND job.id = ANY(ARRAY(
                SELECT held.id FROM procrastinate_jobs AS held
                WHERE held.status = 'doing' AND held.worker_id = ANY(dead)
                UNION ALL
                SELECT held.id FROM procrastinate_jobs AS held
                WHERE
                    held.status = 'doing'
                    AND held.worker_id IS NOT NULL
                    AND held.worker_id <> ALL(ARRAY(SELECT known.id FROM procrastinate_workers AS known))
                UNION ALL
                SELECT held.id FROM procrastinate_jobs AS held
                WHERE
                    held.status = 'doing'
                    AND held.worker_id IS NULL
                    AND held.started_at < clock_timestamp() - INTERVAL '30 seconds'
            ))
        ORDER BY job.id
        LIMIT max_rows
        FOR UPDATE OF job SKIP LOCKED
    LOOP
        -- Rows are locked one after the other, long after the ids were found: another rescuer may have given this one
        -- back, and a living worker have claimed it.
        CONTINUE WHEN orphan.worker_id <> ALL(dead)
            AND EXISTS (SELECT FROM procrastinate_workers AS holder WHERE holder.id = orphan.worker_id);
        CONTINUE WHEN orphan.worker_id IS NULL AND orphan.started_at >= clock_timestamp() - INTERVAL '30 seconds';
        job_id := orphan.id;
        task := orphan.task_name;
        queue := orphan.queue_name;
        worker := orphan.name;
        BEGIN
            verdict := workrow.crash_job_v1(orphan.id, orphan.counted, max_crashes, orphan.death || ' of ' || orphan.name);
        EXCEPTION WHEN OTHERS THEN
            -- one row that refuses must not keep the others
            verdict := 'refused: ' || SQLERRM;
        END;
        IF verdict = 'queued' AND queue <> ALL(queued) THEN
            queued := queued || queue;
            PERFORM workrow.notify_queue_v1(queue, 'job_inserted', 0);
        END IF;
        RETURN NEXT;
    END LOOP;
    DELETE FROM procrastinate_workers AS buried
    WHERE
        buried.id = ANY(dead)
        AND NOT EXISTS (SELECT FROM procrastinate_jobs AS job WHERE job.worker_id = buried.id AND job.status = 'doing');
END;
$$
