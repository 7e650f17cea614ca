DO $comment$
BEGIN
    COMMENT ON VIEW workrow.schedules IS 'what is enqueued by time: declared on tasks, or created at run time';
    COMMENT ON COLUMN workrow.schedules.name IS 'a declared one: the task''s name, and its own after a colon';
    COMMENT ON COLUMN workrow.schedules.task IS 'which task it enqueues';
    COMMENT ON COLUMN workrow.schedules.source IS 'declared: in the code; dynamic: created at run time';
    COMMENT ON COLUMN workrow.schedules.cron IS 'due at these times of its zone; NULL: every';
    COMMENT ON COLUMN workrow.schedules.every IS 'due at each whole multiple of this interval since 1970; NULL: cron';
    COMMENT ON COLUMN workrow.schedules.timezone IS 'the zone that cron is read in';
    COMMENT ON COLUMN workrow.schedules.args IS 'the arguments of its jobs';
    COMMENT ON COLUMN workrow.schedules.queue IS 'the queue of its jobs; NULL: the task''s';
    COMMENT ON COLUMN workrow.schedules.priority IS 'the priority of its jobs; NULL: the task''s';
    COMMENT ON COLUMN workrow.schedules.missed IS 'what becomes of due times that passed while no worker ran: skip, once (the latest), all';
    COMMENT ON COLUMN workrow.schedules.catch_up IS 'how many missed due times are made up for at most; with missed = all';
    COMMENT ON COLUMN workrow.schedules.max_late IS 'what is later is not made up for; NULL: 10 minutes, with missed = all no limit';
    COMMENT ON COLUMN workrow.schedules.overlap IS 'while its former job is todo or doing: allow, skip the due time, or queue behind it';
    COMMENT ON COLUMN workrow.schedules.jitter IS 'jobs start up to so long after the due time; NULL: at once';
    COMMENT ON COLUMN workrow.schedules.next_due_at IS 'the next due time; NULL: paused, or never again';
    COMMENT ON COLUMN workrow.schedules.last_due_at IS 'the last due time that a job was enqueued for';
    COMMENT ON COLUMN workrow.schedules.last_job_id IS 'its job';
    COMMENT ON COLUMN workrow.schedules.last_tick IS 'every due time up to here was dealt with';
    COMMENT ON COLUMN workrow.schedules.skipped IS 'due times without a job of their own so far';
    COMMENT ON COLUMN workrow.schedules.last_skipped_at IS 'the last such due time';
    COMMENT ON COLUMN workrow.schedules.skip_reason IS 'why: overlap, missed, paused (its queue or task), or the error that enqueueing raised';
    COMMENT ON COLUMN workrow.schedules.paused_at IS 'since when it is paused; NULL: it is not';
    COMMENT ON COLUMN workrow.schedules.paused_by IS 'who paused it';
    COMMENT ON COLUMN workrow.schedules.pause_reason IS 'why';
    COMMENT ON COLUMN workrow.schedules.orphaned IS 'no worker ticks it: for 5 minutes none has declared it, or a dynamic one is overdue by as much';
    COMMENT ON COLUMN workrow.schedules.created_at IS 'when it was declared first, or created; NULL: before version 4';
END
$comment$
