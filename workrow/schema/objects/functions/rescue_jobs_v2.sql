-- Give the jobs of dead workers back to the queue. Dead is who the caller has watched: "workers" have not beaten for their
-- lease since "beats" (seconds since 1970 by the server's clock, whatever that says), and "jobs" have been nobody's since
-- "starts"; who has beaten or started since is left alone. Dead is, too, whose row is gone.
-- A job is known to have run in the moment of its worker's death if its start was marked; the first crash counts without a
-- mark, so that jobs which merely waited beside the culprit get no further than one. Who had said that it stops was killed
-- for that, and not by a job: no crash is counted.
CREATE OR REPLACE FUNCTION workrow.rescue_jobs_v2(
    workers bigint[], beats double precision[], jobs bigint[], starts double precision[],
    max_crashes integer DEFAULT 3, max_rows integer DEFAULT 1000
)
RETURNS TABLE (job_id bigint, task text, queue text, worker text, verdict text)
LANGUAGE plpgsql
AS $$
DECLARE
    dead bigint[];
    orphan record;
    queued text[] := '{}';
    patience text := current_setting('lock_timeout');
BEGIN
    -- whoever beats in this moment is skipped; who beats a moment later finds its row gone
    dead := ARRAY(
        SELECT silent.id
        FROM unnest(workers, beats) AS watched (id, beat)
        INNER JOIN procrastinate_workers AS silent ON silent.id = watched.id
        WHERE CAST(extract(EPOCH FROM silent.last_heartbeat) AS double precision) = watched.beat
        FOR UPDATE OF silent SKIP LOCKED
    );
    FOR orphan IN
        SELECT
            job.id, job.task_name, job.queue_name, job.worker_id,
            CAST(extract(EPOCH FROM job.started_at) AS double precision) AS start,
            (job.crashes = 0 OR coalesce(job.marked = job.claims, false)) AND details.stopping_at IS NULL AS counted,
            coalesce(details.name, 'worker') || ' ' || coalesce(CAST(job.worker_id AS text), '(gone)') AS name,
            coalesce(details.death, 'lost heartbeat') AS death,
            CASE WHEN details.stopping_at IS NULL THEN '' ELSE ', which had said that it stops' END AS last_words
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
                WHERE held.status = 'doing' AND held.worker_id IS NULL AND held.id = ANY(jobs)
            ))
        ORDER BY job.id
        LIMIT max_rows
        FOR UPDATE OF job SKIP LOCKED
    LOOP
        -- Rows are locked one after the other, long after the ids were found: another rescuer may have given this one
        -- back, and a living worker have claimed it.
        CONTINUE WHEN orphan.worker_id <> ALL(dead)
            AND EXISTS (SELECT FROM procrastinate_workers AS holder WHERE holder.id = orphan.worker_id);
        CONTINUE WHEN orphan.worker_id IS NULL AND orphan.start IS DISTINCT FROM starts[array_position(jobs, orphan.id)];
        job_id := orphan.id;
        task := orphan.task_name;
        queue := orphan.queue_name;
        worker := orphan.name;
        BEGIN
            verdict := workrow.crash_job_v1(
                orphan.id, orphan.counted, max_crashes, orphan.death || ' of ' || orphan.name || orphan.last_words
            );
        EXCEPTION
            WHEN lock_not_available THEN
                -- somebody's open transaction has its queueing lock; of others like it, each would take as long
                verdict := 'held';
                PERFORM set_config('lock_timeout', '2ms', true);
            WHEN OTHERS THEN
                -- one row that refuses must not keep the others
                verdict := 'refused: ' || SQLERRM;
        END;
        IF verdict = 'queued' AND queue <> ALL(queued) THEN
            queued := queued || queue;
            PERFORM workrow.notify_queue_v1(queue, 'job_inserted', 0);
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    BEGIN
        DELETE FROM procrastinate_workers AS buried
        WHERE
            buried.id = ANY(dead)
            AND NOT EXISTS (SELECT FROM procrastinate_jobs AS job WHERE job.worker_id = buried.id AND job.status = 'doing');
    EXCEPTION WHEN lock_not_available THEN
        -- what comes with it, their beds among the sleepers, is held: for the next look
        NULL;
    END;
END;
$$
