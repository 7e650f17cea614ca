DO $comment$
BEGIN
    COMMENT ON VIEW workrow.celery_schedules IS 'Entries of the beat_schedule of Celery apps.';
    COMMENT ON COLUMN workrow.celery_schedules.app IS 'the name of the app';
    COMMENT ON COLUMN workrow.celery_schedules.name IS 'the name of the entry';
    COMMENT ON COLUMN workrow.celery_schedules.task IS 'the task that it sends';
    COMMENT ON COLUMN workrow.celery_schedules.schedule IS 'when: an interval, a crontab, the sun, for people';
    COMMENT ON COLUMN workrow.celery_schedules.timezone IS 'the app''s; NULL: none was set';
    COMMENT ON COLUMN workrow.celery_schedules.last_run_at IS 'when it was sent last; before the first time, when it was first declared';
    COMMENT ON COLUMN workrow.celery_schedules.total_run_count IS 'how often it was due';
    COMMENT ON COLUMN workrow.celery_schedules.next_run_at IS 'when it is due next; long past: nobody runs beat; NULL: not known yet';
    COMMENT ON COLUMN workrow.celery_schedules.last_error IS 'why nothing was sent the last time; NULL: it was';
    COMMENT ON COLUMN workrow.celery_schedules.declared_at IS 'when a beat last said that it has this entry, about once a minute';
END
$comment$
