-- The jobs that a job follows, and those that follow it; no row: there is no such job.
SELECT
    parents,
    children
FROM workrow.relatives_v1(CAST(%(id)s AS bigint))
