-- Let no worker start jobs of a queue or a task.
SELECT
    workrow.pause_v1(
        CAST(%(kind)s AS text), CAST(%(name)s AS text), CAST(%(actor)s AS text), CAST(%(reason)s AS text)
    ) AS changed
