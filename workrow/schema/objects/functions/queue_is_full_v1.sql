-- Whether so many more jobs exceed the queue's cap. Asked only for a queue that has one.
CREATE OR REPLACE FUNCTION workrow.queue_is_full_v1(queue text, more integer) RETURNS boolean
LANGUAGE sql
STABLE
AS $$
    SELECT coalesce(
        (
            SELECT workrow.ready_depth_v1(queue, least(coalesce(cap.max_depth, cap.declared_depth), 2147483646) + 1) + more
                > coalesce(cap.max_depth, cap.declared_depth)
            FROM workrow.queue_caps AS cap
            WHERE cap.queue_name = queue AND coalesce(cap.max_depth, cap.declared_depth) IS NOT NULL
        ),
        false
    )
$$
