-- Whether the server's queue of notifications, which all databases share, is far from full. A transaction that notifies
-- while it is full is refused at COMMIT. Asking also drops what everybody has heard: the server does so only after a
-- notification, and so a full queue stayed full. A microsecond, and only where somebody is to be notified.
(pg_notification_queue_usage() < 0.75)
