DO $comment$
BEGIN
    COMMENT ON VIEW workrow.jobs IS 'Every job, live or finished, with its times, attempts, result and errors.';
    COMMENT ON COLUMN workrow.jobs.id IS 'unique for ever';
    COMMENT ON COLUMN workrow.jobs.task IS 'the task''s name';
    COMMENT ON COLUMN workrow.jobs.queue IS 'the queue''s name';
    COMMENT ON COLUMN workrow.jobs.status IS 'todo, doing, succeeded, failed, cancelled or aborted';
    COMMENT ON COLUMN workrow.jobs.priority IS 'a higher one runs earlier';
    COMMENT ON COLUMN workrow.jobs.lock IS 'jobs of the same lock run one at a time, in order';
    COMMENT ON COLUMN workrow.jobs.queueing_lock IS 'at most one job of the same queueing lock is todo';
    COMMENT ON COLUMN workrow.jobs.args IS 'the task''s arguments';
    COMMENT ON COLUMN workrow.jobs.scheduled_at IS 'not before this time; after a failed attempt: the time of the next one';
    COMMENT ON COLUMN workrow.jobs.created_at IS 'when its transaction began; NULL when unknown';
    COMMENT ON COLUMN workrow.jobs.started_at IS 'start of the latest attempt';
    COMMENT ON COLUMN workrow.jobs.finished_at IS 'when it came to its end; NULL while todo or doing';
    COMMENT ON COLUMN workrow.jobs.attempts IS 'attempts that have ended';
    COMMENT ON COLUMN workrow.jobs.worker IS 'name of the worker that ran it last; NULL for a stock procrastinate worker';
    COMMENT ON COLUMN workrow.jobs.worker_id IS 'id in workrow.workers; NULL once that worker is gone';
    COMMENT ON COLUMN workrow.jobs.result IS 'what the task returned';
    COMMENT ON COLUMN workrow.jobs.error IS 'message of the latest failed attempt, also when a later attempt succeeded';
    COMMENT ON COLUMN workrow.jobs.error_type IS 'its exception''s type';
    COMMENT ON COLUMN workrow.jobs.traceback IS 'its traceback';
    COMMENT ON COLUMN workrow.jobs.errors IS 'every failed attempt, oldest first: attempt, at, type, message, traceback, discarded';
    COMMENT ON COLUMN workrow.jobs.discarded IS 'failed at once by discard_on, no retry';
END
$comment$
