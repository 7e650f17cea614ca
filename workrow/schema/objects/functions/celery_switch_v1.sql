-- Let the bridge from Celery heed its dials, or send all calls to the old broker.
CREATE OR REPLACE FUNCTION workrow.celery_switch_v1(is_on boolean) RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO workrow.celery_bridge_switch (is_on)
    VALUES (celery_switch_v1.is_on)
    ON CONFLICT (one) DO UPDATE SET is_on = excluded.is_on, changed_at = excluded.changed_at
$$
