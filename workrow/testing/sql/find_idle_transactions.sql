-- Transactions that a test has left open.
SELECT query
FROM pg_stat_activity
WHERE datname = %(database)s AND state LIKE 'idle in transaction%%'
