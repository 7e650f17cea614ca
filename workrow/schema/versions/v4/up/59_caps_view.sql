CREATE VIEW workrow.caps AS
SELECT
    queue_name AS queue,
    coalesce(max_depth, declared_depth) AS max_depth,
    declared_depth,
    workrow.ready_depth_v1(queue_name, coalesce(max_depth, declared_depth) + 1) AS depth,
    actor,
    reason,
    set_at
FROM workrow.queue_caps
WHERE coalesce(max_depth, declared_depth) IS NOT NULL
