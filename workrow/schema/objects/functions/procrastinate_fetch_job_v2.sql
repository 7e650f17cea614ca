-- A stock worker's claim. Stock workers know nothing of pauses and of jobs that expire, so that this does.
CREATE OR REPLACE FUNCTION procrastinate_fetch_job_v2(
    target_queue_names character varying[],
    p_worker_id bigint
)
RETURNS procrastinate_jobs
LANGUAGE plpgsql
AS $$
DECLARE
    found_jobs procrastinate_jobs;
    paused_queues text[] := ARRAY(SELECT name FROM workrow.pause_log WHERE kind = 'queue' AND resumed_at IS NULL);
    paused_tasks text[] := ARRAY(SELECT name FROM workrow.pause_log WHERE kind = 'task' AND resumed_at IS NULL);
BEGIN
    UPDATE procrastinate_jobs
    SET staged_at = scheduled_at
    WHERE id = ANY(ARRAY(
        SELECT id
        FROM procrastinate_jobs
        WHERE
            status = 'todo'
            AND scheduled_at IS NOT NULL
            AND staged_at IS DISTINCT FROM scheduled_at
            AND scheduled_at <= now()
        ORDER BY scheduled_at
        LIMIT 100
        FOR UPDATE SKIP LOCKED
    ));

    -- A worker of ours that takes another job of the same lock in this very moment asks for no advisory lock: who comes
    -- second meets it in the unique index, once it has committed, and looks again. Under REPEATABLE READ it would see
    -- no more the second time: then it finds nothing for now, as a worker does that has come too late.
    FOR look IN 1..10 LOOP
        BEGIN
            WITH RECURSIVE queues (name) AS (
                (
                    SELECT queue_name FROM procrastinate_jobs
                    WHERE {ready} AND lock IS NULL
                    ORDER BY queue_name LIMIT 1
                )
                UNION ALL
                SELECT following.queue_name
                FROM queues
                CROSS JOIN LATERAL (
                    SELECT job.queue_name FROM procrastinate_jobs AS job
                    WHERE
                        {ready:job} AND job.lock IS NULL
                        AND job.queue_name > queues.name
                    ORDER BY job.queue_name LIMIT 1
                ) AS following
            ),
            locks (name) AS (
                (
                    SELECT lock FROM procrastinate_jobs
                    WHERE {ready} AND lock IS NOT NULL
                    ORDER BY lock LIMIT 1
                )
                UNION ALL
                SELECT following.lock
                FROM locks
                CROSS JOIN LATERAL (
                    SELECT job.lock FROM procrastinate_jobs AS job
                    WHERE
                        {ready:job} AND job.lock IS NOT NULL
                        AND job.lock > locks.name
                    ORDER BY job.lock LIMIT 1
                ) AS following
            ),
            unlocked AS (
                SELECT head.id, head.priority
                FROM queues
                CROSS JOIN LATERAL (
                    SELECT job.id, job.priority FROM procrastinate_jobs AS job
                    WHERE
                        {ready:job} AND job.lock IS NULL
                        AND job.queue_name = queues.name
                        AND job.task_name <> ALL(paused_tasks)
                        AND (job.expires_at IS NULL OR job.expires_at > clock_timestamp())
                    ORDER BY job.priority DESC, job.id + 0
                    LIMIT 1
                    FOR UPDATE SKIP LOCKED
                ) AS head
                WHERE
                    (target_queue_names IS NULL OR queues.name = ANY(target_queue_names))
                    AND queues.name <> ALL(paused_queues)
            ),
            heads AS (
                SELECT head.id, head.priority, locks.name
                FROM locks
                CROSS JOIN LATERAL (
                    SELECT job.id, job.priority, job.queue_name, job.task_name FROM procrastinate_jobs AS job
                    WHERE
                        {ready:job} AND job.lock IS NOT NULL
                        AND job.lock = locks.name
                        AND (job.expires_at IS NULL OR job.expires_at > clock_timestamp())
                    ORDER BY job.priority DESC, job.id
                    LIMIT 1
                ) AS head
                WHERE
                    (target_queue_names IS NULL OR head.queue_name = ANY(target_queue_names))
                    AND head.queue_name <> ALL(paused_queues)
                    AND head.task_name <> ALL(paused_tasks)
                    AND (
                        SELECT holder.id FROM procrastinate_jobs AS holder
                        WHERE holder.status = 'doing' AND holder.lock = locks.name
                        LIMIT 1
                    ) IS NULL
                -- beyond so many free locks, priorities are those of the first ones
                LIMIT 100
            ),
            locked AS (
                SELECT head.id, head.priority
                -- the inner limit keeps the condition outside, where it is asked in order and until the first yes
                FROM (SELECT id, priority, name FROM heads ORDER BY priority DESC, id LIMIT 100) AS head
                -- another worker may be about to take this head: then the next lock's
                WHERE pg_try_advisory_xact_lock(hashtextextended('workrow lock ' || head.name, 0))
                LIMIT 1
            )
            UPDATE procrastinate_jobs
            SET status = 'doing', worker_id = p_worker_id, started_at = clock_timestamp()
            WHERE
                status = 'todo'
                AND id = (
                    SELECT candidate.id
                    FROM (SELECT id, priority FROM unlocked UNION ALL SELECT id, priority FROM locked) AS candidate
                    ORDER BY candidate.priority DESC, candidate.id
                    LIMIT 1
                )
            RETURNING procrastinate_jobs.* INTO found_jobs;

            RETURN found_jobs;
        EXCEPTION WHEN unique_violation THEN
            found_jobs := NULL;
        END;
    END LOOP;

    RETURN found_jobs;
END;
$$
