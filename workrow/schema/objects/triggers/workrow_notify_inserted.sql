CREATE OR REPLACE TRIGGER workrow_notify_inserted
AFTER INSERT ON procrastinate_jobs
REFERENCING NEW TABLE AS inserted
FOR EACH STATEMENT EXECUTE FUNCTION workrow.notify_inserted_v1()
