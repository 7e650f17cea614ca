DO $comment$
BEGIN
    COMMENT ON VIEW workrow.celery_parity IS 'How shadow runs compare with those of Celery, of the last 30 days.';
    COMMENT ON COLUMN workrow.celery_parity.task IS 'the name of the task';
    COMMENT ON COLUMN workrow.celery_parity.compared IS 'runs of which both ends are known';
    COMMENT ON COLUMN workrow.celery_parity.equal IS 'of these: the same result, or the same error';
    COMMENT ON COLUMN workrow.celery_parity.other_result IS 'both succeeded, with another result';
    COMMENT ON COLUMN workrow.celery_parity.other_error IS 'one failed and the other did not, or with another error';
    COMMENT ON COLUMN workrow.celery_parity.skipped IS 'not compared';
    COMMENT ON COLUMN workrow.celery_parity.their_seconds IS 'half of Celery''s runs took no longer, from due to done, with their wait in the queue';
    COMMENT ON COLUMN workrow.celery_parity.our_seconds IS 'half of the runs here took no longer, without a wait';
    COMMENT ON COLUMN workrow.celery_parity.last_difference IS 'what differed last, or why it was not compared';
    COMMENT ON COLUMN workrow.celery_parity.last_at IS 'the last run of it';
END
$comment$
