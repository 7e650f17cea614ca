-- What a kind of role needs ("producer", "worker", "operator" or "viewer"), read from the catalogue, so that what a later
-- version brings is in it. The functions are those that run with their owner's rights (see rights/owners_functions).
CREATE OR REPLACE FUNCTION workrow.privileges_v1(kind text)
RETURNS TABLE (object_type text, object text, privilege text, columns text[])
LANGUAGE sql
STABLE
AS $$
    WITH ours AS (
        SELECT oid, relname AS name, relkind
        FROM pg_catalog.pg_class
        WHERE
            relnamespace = CAST('workrow' AS regnamespace)
            AND (
                relkind IN ('p', 'v')
                -- no day of history, nor one that was detached from it and is kept
                OR relkind = 'r' AND NOT EXISTS (
                    SELECT FROM pg_catalog.pg_attribute WHERE attrelid = pg_class.oid AND attname = 'finished_at'
                )
            )
    ),
    function (name, kinds) AS (
        VALUES
        ('enqueue_once_v1', ARRAY['producer', 'worker']),
        ('start_workflow_v1', ARRAY['producer', 'worker']),
        ('append_nodes_v1', ARRAY['producer', 'worker']),
        ('join_batch_v1', ARRAY['producer', 'worker']),
        ('end_batch_v1', ARRAY['producer', 'worker']),
        ('extend_history_v1', ARRAY['worker']),
        ('prune_history_v1', ARRAY['worker']),
        ('cancel_job_v1', ARRAY['operator', 'worker']),
        ('release_job_v1', ARRAY['operator', 'worker']),
        ('requeue_job_v1', ARRAY['operator', 'worker']),
        ('pause_v1', ARRAY['operator', 'worker']),
        ('resume_v1', ARRAY['operator', 'worker']),
        ('pause_schedule_v1', ARRAY['operator', 'worker']),
        ('resume_schedule_v1', ARRAY['operator', 'worker']),
        ('delete_schedule_v1', ARRAY['operator', 'worker']),
        ('set_limit_v1', ARRAY['operator', 'worker']),
        ('reset_limit_v1', ARRAY['operator', 'worker']),
        ('set_queue_v1', ARRAY['operator', 'worker']),
        ('celery_write_v1', ARRAY['producer', 'worker']),
        ('celery_once_v1', ARRAY['producer', 'worker']),
        ('celery_forget_v1', ARRAY['producer', 'worker', 'operator']),
        ('celery_revoke_v1', ARRAY['producer', 'worker', 'operator']),
        ('celery_prune_v1', ARRAY['worker']),
        ('celery_command_v1', ARRAY['producer', 'worker', 'operator']),
        ('celery_replies_v1', ARRAY['producer', 'worker', 'operator']),
        ('celery_move_v1', ARRAY['producer', 'worker']),
        ('celery_dial_v1', ARRAY['operator', 'worker']),
        ('celery_switch_v1', ARRAY['operator', 'worker']),
        ('signal_v1', ARRAY['producer', 'worker', 'operator']),
        ('relatives_v1', ARRAY['producer', 'worker', 'operator']),
        ('cancel_workflow_v1', ARRAY['operator', 'worker']),
        ('pause_workflow_v1', ARRAY['operator', 'worker']),
        ('resume_workflow_v1', ARRAY['operator', 'worker']),
        ('retry_workflow_v1', ARRAY['operator', 'worker'])
    ),
    written (name, columns) AS (
        -- what the statements of an enqueue name, and what the trigger that wakes workers looks at
        VALUES
        ('procrastinate_jobs', 'queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, line, due_at, version'),
        ('workrow.hidden_arguments', 'task_name, name'),
        ('workrow.line_arrivals', 'line, priority'),
        ('workrow.waiters', 'listener, until')
    ),
    -- all but arguments: what waits under a key or in a full queue, and how a job has ended
    seen (name, columns) AS (
        VALUES
        (
            'procrastinate_jobs',
            'id, status, queueing_lock, queue_name, lock, scheduled_at, staged_at, line, due_at, '
            'task_name, attempts, worker, result, errors'
        ),
        ('procrastinate_workers', 'id, last_heartbeat'),
        ('workrow.worker_details', 'worker_id'),
        ('workrow.sleepers', 'worker_id, queues'),
        ('workrow.queue_caps', 'queue_name, declared_depth, max_depth'),
        ('workrow.hidden_arguments', 'task_name, name'),
        ('workrow.waiters', 'listener, until'),
        ('workrow.history', 'id, status, task_name, attempts, worker, result, errors'),
        ('workrow.jobs', 'id, status, progress'),
        ('workrow.all_jobs', 'id, status'),
        ('workrow.caps', 'queue, max_depth, depth'),
        ('workrow.flows', 'id, name, state, root, size, failed_node, paused, created_at, ended_at'),
        ('workrow.celery_results', 'task_id, state, value, traceback, children, details, noted_at, expires_at'),
        ('workrow.celery_groups', 'group_id, members'),
        ('workrow.celery_revoked', 'task_id'),
        ('workrow.celery_dials', 'task, percent, sticky_by, shadow, bridge_is_on, changed_at'),
        ('workrow.flow_nodes', 'flow_id, number, state, kind, result, error, job_id, spec')
    )
    SELECT 'SCHEMA', 'workrow', 'USAGE', CAST(NULL AS text[])
    UNION ALL
    SELECT 'SCHEMA', CAST(CAST(relnamespace AS regnamespace) AS text), 'USAGE', NULL
    FROM pg_catalog.pg_class
    WHERE oid = CAST('procrastinate_jobs' AS regclass)
    UNION ALL
    SELECT 'TABLE', 'workrow.schema_version', 'SELECT', NULL
    UNION ALL
    SELECT 'FUNCTION', CAST(CAST(pg_proc.oid AS regprocedure) AS text), 'EXECUTE', NULL
    FROM function
    INNER JOIN pg_catalog.pg_proc ON pronamespace = CAST('workrow' AS regnamespace) AND proname = function.name
    WHERE privileges_v1.kind = ANY(function.kinds)
    UNION ALL
    SELECT 'VIEW', CAST(CAST(oid AS regclass) AS text), 'SELECT', NULL
    FROM ours
    WHERE relkind = 'v' AND privileges_v1.kind IN ('viewer', 'operator', 'worker')
    UNION ALL
    SELECT 'TABLE', 'workrow.installed_objects', 'SELECT', NULL
    WHERE privileges_v1.kind IN ('viewer', 'operator')
    UNION ALL
    SELECT CASE WHEN relkind = 'v' THEN 'VIEW' ELSE 'TABLE' END, name, 'SELECT', string_to_array(columns, ', ')
    FROM seen
    INNER JOIN pg_catalog.pg_class ON oid = CAST(name AS regclass)
    WHERE privileges_v1.kind = 'producer'
    UNION ALL
    SELECT 'TABLE', name, 'INSERT', string_to_array(columns, ', ')
    FROM written
    WHERE privileges_v1.kind = 'producer'
    UNION ALL
    SELECT 'TABLE', 'workrow.waiters', privilege, NULL
    FROM unnest(ARRAY['UPDATE', 'DELETE']) AS privilege
    WHERE privileges_v1.kind = 'producer'
    UNION ALL
    SELECT 'TABLE', CAST(CAST(oid AS regclass) AS text), privilege, NULL
    FROM ours
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE
        relkind <> 'v'
        AND privileges_v1.kind = 'worker'
        AND name NOT IN ('schema_version', 'installed_objects', 'granted_roles')
        AND NOT (name = 'history' AND privilege = 'UPDATE')
    UNION ALL
    SELECT 'TABLE', name, privilege, NULL
    FROM unnest(ARRAY['procrastinate_jobs', 'procrastinate_workers', 'procrastinate_periodic_defers', 'procrastinate_events']) AS name
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE privileges_v1.kind = 'worker' AND (name <> 'procrastinate_events' OR privilege = 'SELECT')
    UNION ALL
    SELECT 'SEQUENCE', pg_get_serial_sequence('procrastinate_jobs', 'id'), 'USAGE', NULL
    WHERE privileges_v1.kind IN ('producer', 'worker')
    UNION ALL
    SELECT 'SEQUENCE', sequence, privilege, NULL
    FROM (
        VALUES
        (pg_get_serial_sequence('procrastinate_periodic_defers', 'id'), 'USAGE'),
        ('workrow.line_turns', 'SELECT'),
        ('workrow.flow_numbers', 'USAGE')
    ) AS counted (sequence, privilege)
    WHERE privileges_v1.kind = 'worker'
$$
