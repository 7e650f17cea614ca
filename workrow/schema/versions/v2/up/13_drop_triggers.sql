-- Row-level triggers, two of which write an event for each change of a job: its times are columns now.
DO $drop$
BEGIN
    DROP TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1 ON procrastinate_jobs;
    DROP TRIGGER procrastinate_jobs_notify_queue_job_aborted_v1 ON procrastinate_jobs;
    DROP TRIGGER procrastinate_trigger_status_events_update_v1 ON procrastinate_jobs;
    DROP TRIGGER procrastinate_trigger_status_events_insert_v1 ON procrastinate_jobs;
    DROP TRIGGER procrastinate_trigger_scheduled_events_v1 ON procrastinate_jobs;
    DROP TRIGGER procrastinate_trigger_abort_requested_events_v1 ON procrastinate_jobs;
    DROP TRIGGER procrastinate_trigger_delete_jobs_v1 ON procrastinate_jobs;
    DROP TRIGGER workrow_stamp_job_times ON procrastinate_jobs;
END
$drop$
