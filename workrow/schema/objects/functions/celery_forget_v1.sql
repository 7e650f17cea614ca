-- Forget what became of calls of Celery tasks, and groups that were saved. Returns how many there were.
CREATE OR REPLACE FUNCTION workrow.celery_forget_v1(ids text[]) RETURNS bigint
LANGUAGE sql
AS $$
    WITH results AS (
        DELETE FROM workrow.celery_results WHERE task_id = ANY(ids) RETURNING 1
    ),
    groups AS (
        DELETE FROM workrow.celery_groups WHERE group_id = ANY(ids) RETURNING 1
    )
    SELECT (SELECT count(*) FROM results) + (SELECT count(*) FROM groups)
$$
