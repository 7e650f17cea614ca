-- The jobs of nodes of workflows. A key that is taken inserts nothing.
INSERT INTO procrastinate_jobs (
    id, queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, line, due_at, version, unique_key, expires_at,
    workflow_id, workflow_node
)
SELECT
    job.job_id,
    job.spec ->> 'queue',
    job.spec ->> 'task',
    coalesce(CAST(job.spec ->> 'priority' AS integer), 0),
    job.spec ->> 'lock',
    job.spec ->> 'queueing_lock',
    job.args,
    CASE WHEN job.line IS NULL THEN start.at ELSE {far_future} END,
    job.line,
    CASE WHEN job.line IS NOT NULL THEN start.at END,
    CAST(job.spec ->> 'version' AS smallint),
    job.spec ->> 'unique_key',
    coalesce(
        CAST(job.spec ->> 'expires_at' AS timestamptz),
        coalesce(start.at, clock_timestamp()) + CAST(job.spec ->> 'lifetime' AS double precision) * INTERVAL '1 second'
    ),
    job.flow_id,
    job.number
