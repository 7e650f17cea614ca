DO $comment$
BEGIN
    COMMENT ON VIEW workrow.held IS 'What workers leave aside, for an open transaction holds it.';
    COMMENT ON COLUMN workrow.held.kind IS 'job, schedule, queue, bucket or worker';
    COMMENT ON COLUMN workrow.held.name IS 'which one: the id of a job or worker, the name of the others';
    COMMENT ON COLUMN workrow.held.since IS 'when a worker met it first, or the transaction began';
    COMMENT ON COLUMN workrow.held.pid IS 'the session that holds it; NULL: not known';
    COMMENT ON COLUMN workrow.held.application_name IS 'what it calls itself';
    COMMENT ON COLUMN workrow.held.state IS 'what it does; idle in transaction: it waits for its client';
    COMMENT ON COLUMN workrow.held.transaction_since IS 'when its transaction began';
    COMMENT ON COLUMN workrow.held.query IS 'its last statement';
END
$comment$
