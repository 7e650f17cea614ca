-- How the parts of a chord's header have ended, in their order.
SELECT task_id, state, value
FROM workrow.celery_parts
WHERE group_id = %(id)s
ORDER BY position NULLS LAST, id
