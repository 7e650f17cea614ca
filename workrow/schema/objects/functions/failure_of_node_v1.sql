-- What a callback is told of a node that has failed: a workrow.Failure.
CREATE OR REPLACE FUNCTION workrow.failure_of_node_v1(node workrow.flow_nodes) RETURNS jsonb
LANGUAGE sql
STABLE
AS $$
    SELECT jsonb_build_object(
        'job_id', coalesce(node.job_id, 0),
        'task', coalesce(node.spec ->> 'task', node.kind),
        'queue', coalesce(node.spec ->> 'queue', ''),
        'args', CAST('{}' AS jsonb),
        'status', node.state,
        'reason', CASE
            WHEN node.error ->> 'type' = 'workrow.Expired' THEN 'expired'
            WHEN node.error ->> 'type' = 'workrow.Crashed' THEN 'crashed'
            WHEN CAST(node.error ->> 'discarded' AS boolean) THEN 'discarded'
            ELSE 'failed'
        END,
        'error_type', node.error ->> 'type',
        'error_message', node.error ->> 'message',
        'traceback', node.error ->> 'traceback',
        'attempts', coalesce(CAST(node.error ->> 'attempt' AS integer), 0),
        'crashes', 0,
        'failed_at', coalesce(node.ended_at, clock_timestamp())
    )
$$
