-- Groups that were saved: the ids of their members, as GroupResult.as_tuple() has them.
CREATE TABLE workrow.celery_groups (
    group_id text COLLATE "C" PRIMARY KEY,
    members jsonb NOT NULL,
    expires_at timestamptz
)
