-- A group that was saved.
SELECT members
FROM workrow.celery_groups
WHERE group_id = %(id)s AND (expires_at IS NULL OR expires_at > clock_timestamp())
