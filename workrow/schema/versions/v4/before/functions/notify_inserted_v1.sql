-- One notification a queue and statement, and only if somebody sleeps who wants it: pg_notify takes a lock on the whole
-- database at commit, which makes concurrent enqueues wait for one another. A stock worker never says that it sleeps.
CREATE OR REPLACE FUNCTION workrow.notify_inserted_v1() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    stock boolean;
    inserted_queue record;
    first_id bigint;
BEGIN
    stock := EXISTS (
        SELECT
        FROM procrastinate_workers AS worker
        WHERE
            worker.last_heartbeat > now() - INTERVAL '60 seconds'
            AND NOT EXISTS (SELECT FROM workrow.worker_details AS details WHERE details.worker_id = worker.id)
    );
    IF NOT stock AND NOT EXISTS (SELECT FROM workrow.sleepers) THEN
        RETURN NULL;
    END IF;
    FOR inserted_queue IN
        SELECT job.queue_name, min(job.id) AS id
        FROM inserted AS job
        WHERE job.status = 'todo' AND coalesce(job.scheduled_at <= now(), true)
        GROUP BY job.queue_name
    LOOP
        CONTINUE WHEN NOT stock AND NOT EXISTS (
            SELECT
            FROM workrow.sleepers AS sleeper
            WHERE sleeper.queues IS NULL OR inserted_queue.queue_name = ANY(sleeper.queues)
        );
        PERFORM pg_notify(
            'procrastinate_queue_v1#' || inserted_queue.queue_name,
            CAST(json_build_object('type', 'job_inserted', 'job_id', inserted_queue.id) AS text)
        );
        first_id := least(first_id, inserted_queue.id);
    END LOOP;
    IF first_id IS NOT NULL THEN
        PERFORM pg_notify(
            'procrastinate_any_queue_v1',
            CAST(json_build_object('type', 'job_inserted', 'job_id', first_id) AS text)
        );
    END IF;
    RETURN NULL;
END;
$$
