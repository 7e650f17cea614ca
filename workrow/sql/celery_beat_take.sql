-- Take an entry that is due, if nobody else has it or has sent it since it was looked at. Who is stopped while it has it loses
-- it after so many seconds.
SELECT
    name,
    set_config('idle_in_transaction_session_timeout', CAST(%(patience)s AS text), true) AS patience
FROM workrow.celery_beat
WHERE app = %(app)s AND name = %(name)s AND version = %(version)s AND last_run_at = %(seen)s
FOR UPDATE SKIP LOCKED
