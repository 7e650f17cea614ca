-- How jobs ended, those of them that were still ours, and what workflows make of their ends.
WITH outcome AS (
    SELECT id, token, status, result, error, quarantine, progress, waited, lasted
    FROM unnest(
        CAST(%(ids)s AS bigint[]),
        CAST(%(tokens)s AS integer[]),
        CAST(%(statuses)s AS text[]),
        CAST(%(results)s AS text[]),
        CAST(%(errors)s AS text[]),
        CAST(%(quarantines)s AS text[]),
        CAST(%(progresses)s AS text[]),
        CAST(%(waited)s AS double precision[]),
        CAST(%(lasted)s AS double precision[])
    ) AS given (id, token, status, result, error, quarantine, progress, waited, lasted)
),

ended AS (
    DELETE FROM procrastinate_jobs
    WHERE
        id = ANY(CAST(%(ids)s AS bigint[]))
        AND status = 'doing'
        AND worker_id IS NOT DISTINCT FROM %(worker_id)s
        AND CASE WHEN (id, claims) IN (SELECT outcome.id, outcome.token FROM outcome) THEN true ELSE false END
    RETURNING
        id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, attempts, worker_id,
        created_at, started_at, errors, claims, crashes, version, unique_key, expires_at, progress, line,
        workflow_id, workflow_node
),

-- what waited for nodes of workflows among them
told AS MATERIALIZED (
    SELECT
        CASE
            WHEN EXISTS (SELECT FROM ended WHERE workflow_id IS NOT NULL) THEN (
                SELECT CAST(workrow.end_nodes_v1(
                    array_agg(ended.workflow_id), array_agg(ended.workflow_node), array_agg(outcome.status),
                    array_agg(outcome.result), array_agg(outcome.error)
                ) AS text)
                FROM ended
                INNER JOIN outcome ON ended.id = outcome.id AND ended.claims = outcome.token
                WHERE ended.workflow_id IS NOT NULL
            )
        END AS done
)
