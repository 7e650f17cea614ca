DO $comment$
BEGIN
    COMMENT ON COLUMN workrow.workers.stopping_at IS 'when it said that it stops; NULL: it has not';
END
$comment$
