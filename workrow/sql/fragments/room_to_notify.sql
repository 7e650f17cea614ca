-- Whether to notify: the server's queue of notifications, which all databases share, is far from full, and the transaction
-- has not set workrow.notify to off. A transaction that notifies while the queue is full is refused at COMMIT, and one
-- that has notified at all is refused by PREPARE TRANSACTION. Asking also drops what everybody has heard: the server does
-- so only after a notification, and so a full queue stayed full. A microsecond, and only where somebody is to be notified.
(
    pg_notification_queue_usage() < 0.75
    AND coalesce(current_setting('workrow.notify', true), '') <> 'off'
)
