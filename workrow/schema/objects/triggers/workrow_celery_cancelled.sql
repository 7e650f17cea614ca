CREATE OR REPLACE TRIGGER workrow_celery_cancelled
AFTER INSERT ON workrow.history
FOR EACH ROW WHEN (NEW.status = 'cancelled' AND jsonb_exists_all(NEW.args, ARRAY['id', 'args', 'kwargs', 'root_id']))
EXECUTE FUNCTION workrow.celery_cancelled_v1()
