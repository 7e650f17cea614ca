DO $comment$
BEGIN
    COMMENT ON VIEW workrow.workers IS 'Every registered worker; what only our workers tell is NULL for stock procrastinate workers.';
    COMMENT ON COLUMN workrow.workers.id IS 'procrastinate''s worker id';
    COMMENT ON COLUMN workrow.workers.name IS 'the worker''s name';
    COMMENT ON COLUMN workrow.workers.host IS 'the machine it runs on';
    COMMENT ON COLUMN workrow.workers.pid IS 'its process id there';
    COMMENT ON COLUMN workrow.workers.queues IS 'the queues it serves; NULL: all of them';
    COMMENT ON COLUMN workrow.workers.concurrency IS 'how many jobs it runs at once';
    COMMENT ON COLUMN workrow.workers.version IS 'of workrow';
    COMMENT ON COLUMN workrow.workers.started_at IS 'when it registered';
    COMMENT ON COLUMN workrow.workers.last_heartbeat IS 'when it last reported; NULL: its end was seen';
    COMMENT ON COLUMN workrow.workers.heartbeat_age_seconds IS 'seconds since then';
    COMMENT ON COLUMN workrow.workers.alive IS 'the last heartbeat is younger than its lease';
    COMMENT ON COLUMN workrow.workers.running IS 'jobs it runs now';
    COMMENT ON COLUMN workrow.workers.lease_seconds IS 'silent for longer, its jobs go back to the queue';
    COMMENT ON COLUMN workrow.workers.tasks IS 'the names of the tasks that it knows';
    COMMENT ON COLUMN workrow.workers.refused IS 'its finishes that came too late: the job was no longer its own';
    COMMENT ON COLUMN workrow.workers.stopping_at IS 'when it said that it stops; NULL: it has not';
END
$comment$
