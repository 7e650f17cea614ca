-- Append nodes to the workflow of a job that runs; the workflow's id, or NULL.
SELECT workrow.append_nodes_v1(CAST(%(id)s AS bigint), CAST(%(args)s AS jsonb)) AS id
