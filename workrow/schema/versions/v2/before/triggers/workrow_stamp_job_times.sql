-- A trigger, and not the worker's statements, so that what a stock procrastinate worker runs has its times as well.
CREATE OR REPLACE TRIGGER workrow_stamp_job_times
BEFORE UPDATE OF status ON procrastinate_jobs
FOR EACH ROW
WHEN (OLD.status IS DISTINCT FROM NEW.status)
EXECUTE FUNCTION workrow.stamp_job_times_v1()
