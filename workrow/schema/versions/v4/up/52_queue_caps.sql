-- declared_depth: what the code says, noted by its workers when they start; max_depth: what was set at run time, which wins.
CREATE TABLE workrow.queue_caps (
    queue_name text PRIMARY KEY,
    declared_depth integer CHECK (declared_depth > 0),
    max_depth integer CHECK (max_depth > 0),
    actor text,
    reason text,
    set_at timestamptz
)
