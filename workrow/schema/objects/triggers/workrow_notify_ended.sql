CREATE OR REPLACE TRIGGER workrow_notify_ended
AFTER INSERT ON workrow.history
FOR EACH STATEMENT EXECUTE FUNCTION workrow.notify_ended_v1()
