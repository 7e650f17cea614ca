-- Set how many of 100 calls of a task the bridge from Celery sends here, and how many it only shadows. What is NULL stays as
-- it is; "sticky_by" is taken away by an empty text. A task without percent or shadow has those of "*", and "*" has 0.
CREATE OR REPLACE FUNCTION workrow.celery_dial_v1(
    task text, percent double precision, sticky_by text, shadow double precision
) RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO workrow.celery_bridge_dials AS known (task, percent, sticky_by, shadow)
    VALUES (
        celery_dial_v1.task, celery_dial_v1.percent, nullif(celery_dial_v1.sticky_by, ''), celery_dial_v1.shadow
    )
    ON CONFLICT (task) DO UPDATE
    SET
        percent = coalesce(excluded.percent, known.percent),
        sticky_by = CASE WHEN celery_dial_v1.sticky_by IS NULL THEN known.sticky_by ELSE excluded.sticky_by END,
        shadow = coalesce(excluded.shadow, known.shadow),
        changed_at = excluded.changed_at
$$
