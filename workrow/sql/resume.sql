-- Let workers start its jobs again.
SELECT
    workrow.resume_v1(
        CAST(%(kind)s AS text), CAST(%(name)s AS text), CAST(%(actor)s AS text), CAST(%(reason)s AS text)
    ) AS changed
