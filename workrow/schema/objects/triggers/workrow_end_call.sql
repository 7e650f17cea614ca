CREATE OR REPLACE TRIGGER workrow_end_call
AFTER INSERT ON workrow.history
FOR EACH ROW WHEN (starts_with(NEW.unique_key, 'workrow.call:'))
EXECUTE FUNCTION workrow.end_call_v1()
