-- Jobs that were just inserted become members of a batch; NULL, or why they could not.
SELECT
    workrow.join_batch_v1(
        CAST(%(batch)s AS bigint), CAST(%(job)s AS bigint), CAST(%(ids)s AS bigint[]), CAST(%(after)s AS bigint)
    ) AS refused
