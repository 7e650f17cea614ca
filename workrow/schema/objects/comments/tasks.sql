DO $comment$
BEGIN
    COMMENT ON VIEW workrow.tasks IS 'How the jobs that finished within the last 5 minutes, 1 hour and 24 hours went, by task.';
    COMMENT ON COLUMN workrow.tasks.task IS 'the task''s name';
    COMMENT ON COLUMN workrow.tasks."window" IS '''5 minutes'', ''1 hour'' or ''24 hours'', ending now';
    COMMENT ON COLUMN workrow.tasks.finished IS 'jobs that finished: succeeded + failed + cancelled';
    COMMENT ON COLUMN workrow.tasks.succeeded IS 'of these, succeeded';
    COMMENT ON COLUMN workrow.tasks.failed IS 'of these, failed for good, discarded ones included';
    COMMENT ON COLUMN workrow.tasks.discarded IS 'of the failed, those that discard_on ended at once';
    COMMENT ON COLUMN workrow.tasks.cancelled IS 'of the finished, cancelled or aborted';
    COMMENT ON COLUMN workrow.tasks.retried IS 'of the finished, those that took more than one attempt';
    COMMENT ON COLUMN workrow.tasks.success_rate IS 'succeeded / (succeeded + failed), 0 to 1; NULL when neither';
    COMMENT ON COLUMN workrow.tasks.processing_p50_seconds IS 'median of the latest attempt, start to end';
    COMMENT ON COLUMN workrow.tasks.processing_p95_seconds IS '95th percentile of the same';
    COMMENT ON COLUMN workrow.tasks.waiting_p50_seconds IS 'median of the time from due to the start of the latest attempt';
    COMMENT ON COLUMN workrow.tasks.waiting_p95_seconds IS '95th percentile of the same';
END
$comment$
