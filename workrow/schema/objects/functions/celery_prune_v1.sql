-- Delete what has expired of Celery's results, groups and revocations, so many rows of each at most; rows that somebody
-- holds are left for the next time. Returns how many were deleted.
CREATE OR REPLACE FUNCTION workrow.celery_prune_v1(most integer, lasts interval) RETURNS bigint
LANGUAGE sql
AS $$
    WITH results AS (
        DELETE FROM workrow.celery_results
        WHERE task_id = ANY(ARRAY(
            SELECT task_id FROM workrow.celery_results
            WHERE expires_at < clock_timestamp()
            ORDER BY expires_at
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    groups AS (
        DELETE FROM workrow.celery_groups
        WHERE group_id = ANY(ARRAY(
            SELECT group_id FROM workrow.celery_groups
            WHERE expires_at < clock_timestamp()
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    revoked AS (
        DELETE FROM workrow.celery_revoked
        WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM workrow.celery_revoked
            WHERE revoked_at < clock_timestamp() - lasts
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM results) + (SELECT count(*) FROM groups) + (SELECT count(*) FROM revoked)
$$
