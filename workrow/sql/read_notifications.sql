-- From half full on: how full the server's queue of notifications is, and who may hold it.
SELECT used, notifying, pid, database, application_name, state, transaction_since
FROM workrow.notifications
WHERE used >= 0.5
