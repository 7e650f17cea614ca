DO $comment$
BEGIN
    COMMENT ON VIEW workrow.celery_dials IS 'How many calls the bridge from Celery sends here.';
    COMMENT ON COLUMN workrow.celery_dials.task IS 'the name of the task; *: every other';
    COMMENT ON COLUMN workrow.celery_dials.percent IS 'of 100 calls so many come here; NULL: as *';
    COMMENT ON COLUMN workrow.celery_dials.sticky_by IS 'calls in which this argument is the same go to the same side; NULL: each by itself';
    COMMENT ON COLUMN workrow.celery_dials.shadow IS 'of 100 calls that go to the old broker so many are run here too, and rolled back; NULL: as *';
    COMMENT ON COLUMN workrow.celery_dials.bridge_is_on IS 'false: all calls go to the old broker, whatever percent says';
    COMMENT ON COLUMN workrow.celery_dials.changed_at IS 'when it was set last';
END
$comment$
