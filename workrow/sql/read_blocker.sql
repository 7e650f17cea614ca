-- Whom this session waits for.
SELECT pid FROM unnest(pg_blocking_pids(CAST(%(pid)s AS integer))) AS blocking (pid) WHERE pid > 0 LIMIT 1
