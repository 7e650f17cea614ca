CREATE OR REPLACE VIEW workrow.notifications AS
SELECT
    queue.used,
    {room_to_notify} AS notifying,
    oldest.pid,
    oldest.database,
    oldest.application_name,
    oldest.state,
    oldest.transaction_since,
    oldest.query
FROM (SELECT pg_notification_queue_usage() AS used) AS queue
LEFT JOIN LATERAL (
    SELECT
        session.pid,
        CAST(session.datname AS text) AS database,
        session.application_name,
        session.state,
        session.xact_start AS transaction_since,
        {shown_query} AS query
    FROM pg_stat_activity AS session
    WHERE queue.used >= 0.5 AND session.xact_start IS NOT NULL AND session.pid <> pg_backend_pid()
    ORDER BY session.xact_start
    LIMIT 1
) AS oldest ON true
