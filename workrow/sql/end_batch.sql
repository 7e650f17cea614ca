-- The block of a batch has ended: an empty one ends, one whose block has raised is gone.
SELECT CAST(workrow.end_batch_v1(CAST(%(batch)s AS bigint), CAST(%(raised)s AS boolean)) AS text) AS done
