DO $comment$
BEGIN
    COMMENT ON VIEW workrow.notifications IS 'The server''s queue of notifications, which all its databases share: one row.';
    COMMENT ON COLUMN workrow.notifications.used IS 'how full it is: 0 to 1';
    COMMENT ON COLUMN workrow.notifications.notifying IS 'workers are notified; false: it is too full, and they poll';
    COMMENT ON COLUMN workrow.notifications.pid IS 'from half full on: the session with the oldest transaction; if it listens, it keeps the queue';
    COMMENT ON COLUMN workrow.notifications.database IS 'which database it is on';
    COMMENT ON COLUMN workrow.notifications.application_name IS 'what it calls itself';
    COMMENT ON COLUMN workrow.notifications.state IS 'what it does; idle in transaction: it waits for its client';
    COMMENT ON COLUMN workrow.notifications.transaction_since IS 'when its transaction began';
    COMMENT ON COLUMN workrow.notifications.query IS 'its last statement';
END
$comment$
