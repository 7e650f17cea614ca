DO $comment$
BEGIN
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
END
$comment$
