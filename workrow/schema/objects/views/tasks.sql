CREATE OR REPLACE VIEW workrow.tasks AS
SELECT
    stats.task,
    past."window",
    stats.finished,
    stats.succeeded,
    stats.failed,
    stats.discarded,
    stats.cancelled,
    stats.retried,
    stats.success_rate,
    stats.processing_p50_seconds,
    stats.processing_p95_seconds,
    stats.waiting_p50_seconds,
    stats.waiting_p95_seconds
FROM (VALUES ('5 minutes'), ('1 hour'), ('24 hours')) AS past ("window")
CROSS JOIN LATERAL workrow.task_stats_v1(CAST(past."window" AS interval)) AS stats
