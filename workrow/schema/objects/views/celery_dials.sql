CREATE OR REPLACE VIEW workrow.celery_dials AS
SELECT
    task,
    percent,
    sticky_by,
    shadow,
    coalesce((SELECT switch.is_on FROM workrow.celery_bridge_switch AS switch), true) AS bridge_is_on,
    changed_at
FROM workrow.celery_bridge_dials
