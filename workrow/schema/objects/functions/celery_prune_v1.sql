-- Delete what has expired of Celery's results, groups, revocations and commands, and what the bridge has kept for 30 days, so
-- many rows of each at most; rows that somebody holds are left for the next time. Returns how many were deleted.
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
    ),
    commands AS (
        DELETE FROM workrow.celery_commands
        WHERE id = ANY(ARRAY(
            SELECT id FROM workrow.celery_commands
            -- twice as long as workers read them
            WHERE sent_at < clock_timestamp() - INTERVAL '10 minutes'
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    untold AS (
        DELETE FROM workrow.celery_untold
        WHERE job_id = ANY(ARRAY(
            SELECT job_id FROM workrow.celery_untold
            WHERE revoked_at < clock_timestamp() - INTERVAL '10 minutes'
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    replies AS (
        DELETE FROM workrow.celery_replies
        WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM workrow.celery_replies AS said
            WHERE NOT EXISTS (SELECT FROM workrow.celery_commands AS sent WHERE sent.id = said.command_id)
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    moves AS (
        DELETE FROM workrow.celery_bridge_moves
        WHERE key = ANY(ARRAY(
            SELECT key FROM workrow.celery_bridge_moves
            WHERE moved_at < clock_timestamp() - INTERVAL '30 days'
            ORDER BY moved_at
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    ),
    shadows AS (
        DELETE FROM workrow.celery_bridge_shadows
        WHERE task_id = ANY(ARRAY(
            SELECT task_id FROM workrow.celery_bridge_shadows
            WHERE noted_at < clock_timestamp() - INTERVAL '30 days'
            ORDER BY noted_at
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM results) + (SELECT count(*) FROM groups)
        + (SELECT count(*) FROM revoked) + (SELECT count(*) FROM commands) + (SELECT count(*) FROM replies)
        + (SELECT count(*) FROM untold) + (SELECT count(*) FROM moves) + (SELECT count(*) FROM shadows)
$$
