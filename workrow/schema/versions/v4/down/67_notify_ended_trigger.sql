DROP TRIGGER workrow_notify_ended ON workrow.history
