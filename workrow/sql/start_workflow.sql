-- Write down a workflow with its nodes, and enqueue those that wait for nobody; its id, or NULL where a queue has no room.
SELECT
    workrow.start_workflow_v1(CAST(%(flow)s AS jsonb), CAST(%(args)s AS jsonb), CAST(%(queues)s AS jsonb)) AS id
