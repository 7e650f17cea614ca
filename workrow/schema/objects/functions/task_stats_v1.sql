-- Reads the view and not the table, so that a role which may only read the views may call it.
CREATE OR REPLACE FUNCTION workrow.task_stats_v1(period interval)
RETURNS TABLE (
    task text,
    finished bigint,
    succeeded bigint,
    failed bigint,
    discarded bigint,
    cancelled bigint,
    retried bigint,
    success_rate double precision,
    processing_p50_seconds double precision,
    processing_p95_seconds double precision,
    waiting_p50_seconds double precision,
    waiting_p95_seconds double precision
)
LANGUAGE sql
STABLE
BEGIN ATOMIC
    WITH ended AS (
        SELECT
            job.task,
            job.status,
            job.discarded,
            job.attempts,
            -- no difference of times: not every two have one
            CAST(extract(EPOCH FROM job.finished_at) - extract(EPOCH FROM job.started_at) AS double precision)
                AS processing,
            CAST(extract(EPOCH FROM job.started_at)
                - extract(EPOCH FROM greatest(job.created_at, job.scheduled_at)) AS double precision) AS waiting
        FROM workrow.jobs AS job
        WHERE job.finished_at >= now() - period
    )
    SELECT
        ended.task,
        count(*) AS finished,
        count(*) FILTER (WHERE ended.status = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE ended.status = 'failed') AS failed,
        count(*) FILTER (WHERE ended.discarded) AS discarded,
        count(*) FILTER (WHERE ended.status IN ('cancelled', 'aborted')) AS cancelled,
        count(*) FILTER (WHERE ended.attempts > 1) AS retried,
        CAST(count(*) FILTER (WHERE ended.status = 'succeeded') AS double precision)
        / nullif(count(*) FILTER (WHERE ended.status IN ('succeeded', 'failed')), 0) AS success_rate,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY ended.processing) FILTER (WHERE ended.status <> 'cancelled'),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY ended.processing) FILTER (WHERE ended.status <> 'cancelled'),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY ended.waiting) FILTER (WHERE ended.status <> 'cancelled'),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY ended.waiting) FILTER (WHERE ended.status <> 'cancelled')
    FROM ended
    GROUP BY ended.task;
END
