DO $drop$
BEGIN
    DROP TRIGGER workrow_notify_inserted ON procrastinate_jobs;
    DROP TRIGGER workrow_orphan_jobs ON procrastinate_workers;
END
$drop$
