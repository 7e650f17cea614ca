CREATE OR REPLACE VIEW workrow.celery_schedules AS
SELECT
    app,
    name,
    task,
    schedule,
    timezone,
    last_run_at,
    total_run_count,
    next_run_at,
    last_error,
    declared_at
FROM workrow.celery_beat
