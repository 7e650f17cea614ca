CREATE OR REPLACE TRIGGER workrow_celery_cancelled
AFTER INSERT ON workrow.history
FOR EACH ROW WHEN (
    (NEW.status = 'cancelled' OR NEW.status = 'aborted')
    AND (
        NEW.task_name = 'workrow.celery.ended'
        OR (NEW.status = 'cancelled' OR NEW.errors -> -1 ->> 'type' = 'workrow.Crashed')
        AND (
            NEW.task_name = 'workrow.celery.join'
            OR jsonb_exists_all(NEW.args, ARRAY['id', 'args', 'kwargs', 'root_id'])
        )
    )
)
EXECUTE FUNCTION workrow.celery_cancelled_v1()
