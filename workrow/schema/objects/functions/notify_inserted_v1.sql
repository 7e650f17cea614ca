-- Wake who sleeps: jobs were inserted. Those under limits arrive in their lines, and are ready when their due_at is NULL.
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
    IF EXISTS (SELECT FROM inserted WHERE line IS NOT NULL) THEN
        INSERT INTO workrow.line_arrivals (line, priority)
        SELECT job.line, max(job.priority)
        FROM inserted AS job
        WHERE job.line IS NOT NULL AND job.due_at IS NULL AND job.status = 'todo'
        GROUP BY job.line;
    END IF;
    stock := EXISTS (
        SELECT
        FROM procrastinate_workers AS worker
        WHERE
            worker.last_heartbeat BETWEEN now() - INTERVAL '60 seconds' AND now() + INTERVAL '60 seconds'
            AND NOT EXISTS (SELECT FROM workrow.worker_details AS details WHERE details.worker_id = worker.id)
    );
    -- a notification for which there is no room would be refused at COMMIT, and with it the job: then workers poll.
    -- LISTEN cuts a channel's name to the 63 bytes of a "name", where pg_notify would refuse it
    IF NOT (stock OR EXISTS (SELECT FROM workrow.sleepers)) OR NOT {room_to_notify} THEN
        RETURN NULL;
    END IF;
    FOR inserted_queue IN
        SELECT job.queue_name, min(job.id) AS id
        FROM inserted AS job
        WHERE
            job.status = 'todo'
            AND CASE WHEN job.line IS NULL THEN coalesce(job.scheduled_at <= now(), true) ELSE job.due_at IS NULL END
        GROUP BY job.queue_name
    LOOP
        CONTINUE WHEN NOT stock AND NOT EXISTS (
            SELECT
            FROM workrow.sleepers AS sleeper
            WHERE sleeper.queues IS NULL OR inserted_queue.queue_name = ANY(sleeper.queues)
        );
        PERFORM pg_notify(
            CAST('procrastinate_queue_v1#' || inserted_queue.queue_name AS name),
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
