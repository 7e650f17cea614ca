-- args as in sql/fragments/shown_args.sql.
-- name and last_tick stay plain columns, so that the view can be written to as version 3's workers do.
CREATE OR REPLACE VIEW workrow.schedules AS
SELECT
    name,
    task,
    CASE WHEN dynamic THEN 'dynamic' ELSE 'declared' END AS source,
    cron,
    every,
    timezone,
    coalesce(
        (
            SELECT
                CASE
                    WHEN bool_or(hidden.name = '*') OR jsonb_typeof(timetable.args) <> 'object' THEN CAST('{"***": "***"}' AS jsonb)
                    ELSE timetable.args || coalesce(
                        jsonb_object_agg(hidden.name, '***') FILTER (WHERE jsonb_exists(timetable.args, hidden.name)), CAST('{}' AS jsonb)
                    )
                END
            FROM workrow.hidden_arguments AS hidden
            WHERE hidden.task_name = timetable.task AND hidden.name <> 'return'
            HAVING count(*) > 0
        ),
        timetable.args
    ) AS args,
    queue,
    priority,
    missed,
    catch_up,
    max_late,
    overlap,
    jitter,
    CASE WHEN paused_at IS NULL THEN next_due END AS next_due_at,
    last_due AS last_due_at,
    last_job_id,
    last_tick,
    skipped,
    last_skipped AS last_skipped_at,
    skip_reason,
    paused_at,
    paused_by,
    pause_reason,
    coalesce(
        CASE
            WHEN dynamic THEN paused_at IS NULL AND next_due < now() - INTERVAL '5 minutes'
            ELSE declared_at IS NULL OR declared_at < now() - INTERVAL '5 minutes'
        END,
        false
    ) AS orphaned,
    created_at
FROM workrow.timetable
