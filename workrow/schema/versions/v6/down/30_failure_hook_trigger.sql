DROP TRIGGER workrow_call_failure_hook ON workrow.history
