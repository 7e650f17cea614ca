-- What workers leave aside, for an open transaction holds it.
SELECT kind, name, since, pid, application_name, state, transaction_since, query
FROM workrow.held
ORDER BY since, kind, name
