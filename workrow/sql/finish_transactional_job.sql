-- The last statement of a transactional task's own transaction, fenced as finish_jobs is: no row, no commit.
WITH ended AS (
    DELETE FROM procrastinate_jobs
    WHERE id = (
        SELECT id
        FROM procrastinate_jobs
        WHERE
            id = CAST(%(id)s AS bigint)
            AND status = 'doing'
            AND worker_id = CAST(%(worker_id)s AS bigint)
            AND claims = CAST(%(token)s AS integer)
            AND CASE WHEN workflow_id IS NULL THEN true ELSE workrow.lock_workflow_v1(workflow_id) END
        -- somebody's open transaction (a cancel, say) must not be waited for: nobody knows for how long
        FOR UPDATE SKIP LOCKED
    )
    RETURNING
        id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, attempts, worker_id,
        created_at, started_at, errors, claims, crashes, version, unique_key, expires_at, progress, line,
        workflow_id, workflow_node
),

told AS MATERIALIZED (
    SELECT
        CAST(workrow.end_nodes_v1(
            ARRAY[ended.workflow_id], ARRAY[ended.workflow_node], ARRAY['succeeded'], ARRAY[CAST(%(result)s AS text)],
            ARRAY[CAST(%(error)s AS text)]
        ) AS text) AS done
    FROM ended
    WHERE ended.workflow_id IS NOT NULL
),

kept AS (
    INSERT INTO workrow.history (
        id, queue_name, task_name, priority, lock, queueing_lock, args, status, scheduled_at, attempts, worker_id,
        worker, created_at, started_at, finished_at, result, errors, claims, crashes,
        version, unique_key, expires_at, progress, line, workflow_id, workflow_node
    )
    SELECT
        ended.id,
        ended.queue_name,
        ended.task_name,
        ended.priority,
        ended.lock,
        ended.queueing_lock,
        ended.args,
        'succeeded',
        ended.scheduled_at,
        ended.attempts + CASE WHEN ended.attempts < 2147483647 THEN 1 ELSE 0 END,
        ended.worker_id,
        CAST(%(worker)s AS text),
        ended.created_at,
        ended.started_at + CAST(%(waited)s AS double precision) * INTERVAL '1 second',
        clock_timestamp(),
        CAST(%(result)s AS jsonb),
        workrow.with_error_v1(ended.errors, CAST(%(error)s AS jsonb) || jsonb_build_object('at', clock_timestamp())),
        ended.claims,
        ended.crashes,
        ended.version,
        ended.unique_key,
        ended.expires_at,
        coalesce(CAST(%(progress)s AS jsonb) || jsonb_build_object('at', clock_timestamp()), ended.progress),
        ended.line,
        ended.workflow_id,
        ended.workflow_node
    FROM ended
    WHERE CAST(%(keep)s AS boolean) OR starts_with(ended.unique_key, 'workrow.call:')
)

SELECT ended.id FROM ended LEFT JOIN told ON true
