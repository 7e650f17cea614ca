CREATE OR REPLACE TRIGGER workrow_orphan_jobs
AFTER DELETE ON procrastinate_workers
REFERENCING OLD TABLE AS deleted
FOR EACH STATEMENT EXECUTE FUNCTION workrow.orphan_jobs_v1()
