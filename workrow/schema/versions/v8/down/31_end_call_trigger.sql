DROP TRIGGER workrow_end_call ON workrow.history
