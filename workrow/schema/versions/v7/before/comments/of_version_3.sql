DO $comment$
BEGIN
    COMMENT ON COLUMN workrow.jobs.claims IS 'how often a worker has taken it: no attempt can have started more often';
    COMMENT ON COLUMN workrow.jobs.crashes IS 'how often its worker, or its process, died under it';
    COMMENT ON COLUMN workrow.jobs.quarantine IS 'why it does not run again until workrow.release_job_v1(id); NULL: not quarantined';
    COMMENT ON COLUMN workrow.workers.alive IS 'the last heartbeat is younger than its lease';
    COMMENT ON COLUMN workrow.workers.lease_seconds IS 'silent for longer, its jobs go back to the queue';
    COMMENT ON COLUMN workrow.workers.tasks IS 'the names of the tasks that it knows';
    COMMENT ON COLUMN workrow.workers.refused IS 'its finishes that came too late: the job was no longer its own';
    COMMENT ON VIEW workrow.quarantine IS 'Jobs that do not run again until somebody releases them: SELECT workrow.release_job_v1(id).';
    COMMENT ON COLUMN workrow.quarantine.id IS 'the job''s id';
    COMMENT ON COLUMN workrow.quarantine.task IS 'the task''s name';
    COMMENT ON COLUMN workrow.quarantine.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.quarantine.cause IS 'what happened';
    COMMENT ON COLUMN workrow.quarantine.since IS 'when';
    COMMENT ON COLUMN workrow.quarantine.crashes IS 'how often its worker, or its process, died under it';
    COMMENT ON COLUMN workrow.quarantine.attempts IS 'attempts that have ended';
    COMMENT ON COLUMN workrow.quarantine.args IS 'the task''s arguments';
    COMMENT ON COLUMN workrow.quarantine.worker IS 'name of the worker that ran it last';
    COMMENT ON COLUMN workrow.quarantine.errors IS 'every failed attempt and crash, oldest first';
    COMMENT ON VIEW workrow.unroutable IS 'Waiting jobs that no living worker would take: their task, or their queue, is not served.';
    COMMENT ON COLUMN workrow.unroutable.task IS 'the task''s name';
    COMMENT ON COLUMN workrow.unroutable.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.unroutable.jobs IS 'how many';
    COMMENT ON COLUMN workrow.unroutable.oldest_created_at IS 'when the first of them was enqueued';
END
$comment$
