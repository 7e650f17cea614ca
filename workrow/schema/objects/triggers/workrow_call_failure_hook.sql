CREATE OR REPLACE TRIGGER workrow_call_failure_hook
AFTER INSERT ON workrow.history
FOR EACH ROW WHEN (NEW.status IN ('failed', 'cancelled'))
EXECUTE FUNCTION workrow.call_failure_hook_v1()
