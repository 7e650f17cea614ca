-- What `workrow status` tells of the tasks.
SELECT
    task,
    "window",
    finished,
    succeeded,
    failed,
    discarded,
    cancelled,
    retried,
    success_rate,
    processing_p50_seconds,
    processing_p95_seconds,
    waiting_p50_seconds,
    waiting_p95_seconds
FROM workrow.tasks
ORDER BY task, CAST("window" AS interval)
