-- Enqueue under a rule (unique, debounce, throttle) or with an expiry: which job each set of arguments got.
SELECT place, job_id, verdict
FROM workrow.enqueue_once_v1(
    CAST(%(job)s AS jsonb), CAST(%(rule)s AS jsonb), CAST(%(args)s AS jsonb), CAST(%(keys)s AS text[]), CAST(%(lines)s AS text[])
)
