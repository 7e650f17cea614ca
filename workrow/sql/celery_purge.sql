-- Delete the calls of Celery tasks that wait in these queues; a row that somebody holds is left out.
WITH waiting AS (
    SELECT id
    FROM procrastinate_jobs
    WHERE queue_name = ANY(CAST(%(queues)s AS text[])) AND status = 'todo' AND args ? 'root_id'
    FOR UPDATE SKIP LOCKED
),

purged AS (
    DELETE FROM procrastinate_jobs
    USING waiting
    WHERE procrastinate_jobs.id = waiting.id
    RETURNING 1
)

SELECT count(*) AS purged FROM purged
