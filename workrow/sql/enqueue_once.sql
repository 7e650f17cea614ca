-- Enqueue under a rule (unique, debounce, throttle) or with an expiry: which job each set of arguments got.
SELECT place, job_id, verdict
FROM workrow.enqueue_once_v1(
    CAST(%(job)s AS jsonb) || CASE
        WHEN CAST(%(delay)s AS double precision) IS NULL THEN '{}'
        ELSE jsonb_build_object(
            'scheduled_at',
            statement_timestamp() + CAST(%(delay)s AS double precision) * INTERVAL '1 second'
        )
    END,
    CAST(%(rule)s AS jsonb),
    CAST(%(args)s AS jsonb),
    -- arrays come as JSON: text[] takes the driver 3 us an element, to quote it
    ARRAY(SELECT value FROM jsonb_array_elements_text(CAST(%(keys)s AS jsonb)) WITH ORDINALITY AS k (value, n) ORDER BY n),
    ARRAY(SELECT value FROM jsonb_array_elements_text(CAST(%(lines)s AS jsonb)) WITH ORDINALITY AS k (value, n) ORDER BY n)
)
