-- Processes that wait for the end of jobs. Unlogged: after a crash they register anew. One of them that died is
-- forgotten when its time is over.
CREATE UNLOGGED TABLE workrow.waiters (
    listener uuid PRIMARY KEY,
    until timestamptz NOT NULL
)
