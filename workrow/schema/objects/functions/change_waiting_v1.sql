-- What a call with a taken key does to the jobs that wait under it. "places" and "ids" are pairs: a call, and the job that
-- it found. Of several calls for one job, the last one counts.
CREATE OR REPLACE FUNCTION workrow.change_waiting_v1(
    same procrastinate_jobs, rule jsonb, args jsonb, lines text[], places integer[], ids bigint[], lifetime interval
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    replaces boolean := rule ->> 'on_conflict' IN ('replace', 'debounce');
    moves boolean := rule ->> 'on_conflict' IN ('reschedule', 'debounce');
    wait interval := CAST(rule ->> 'wait' AS double precision) * INTERVAL '1 second';
    max_wait interval := CAST(rule ->> 'max_wait' AS double precision) * INTERVAL '1 second';
BEGIN
    UPDATE procrastinate_jobs AS job
    SET
        args = CASE WHEN replaces THEN newest.args ELSE job.args END,
        priority = CASE WHEN replaces THEN same.priority ELSE job.priority END,
        line = CASE WHEN replaces THEN newest.line ELSE job.line END,
        version = CASE WHEN replaces THEN same.version ELSE job.version END,
        scheduled_at = CASE WHEN moves AND job.line IS NULL AND job.held_at IS NULL THEN newest.at ELSE job.scheduled_at END,
        held_at = CASE WHEN moves AND job.held_at IS NOT NULL THEN coalesce(newest.at, {at_once}) ELSE job.held_at END,
        due_at = CASE
            WHEN moves AND job.line IS NOT NULL AND job.held_at IS NULL THEN coalesce(newest.at, clock_timestamp())
            -- ready, but in another line: a claim calls it there
            WHEN replaces AND newest.line <> job.line THEN coalesce(job.due_at, clock_timestamp())
            ELSE job.due_at
        END,
        staged_at = CASE WHEN moves THEN NULL ELSE job.staged_at END,
        expires_at = CASE
            WHEN lifetime IS NOT NULL THEN coalesce(newest.at, clock_timestamp()) + lifetime
            ELSE coalesce(same.expires_at, job.expires_at)
        END
    FROM (
        SELECT DISTINCT ON (old.id)
            old.id,
            change_waiting_v1.args -> (given.place - 1) AS args,
            -- arguments may be those of another limit's key; where only one of both has limits, it stays as it is
            CASE WHEN old.line IS NULL THEN NULL ELSE coalesce(lines[given.place], old.line) END AS line,
            CASE
                WHEN NOT moves AND old.held_at IS NOT NULL THEN nullif(old.held_at, {at_once})
                WHEN NOT moves THEN CASE WHEN old.line IS NULL THEN old.scheduled_at ELSE old.due_at END
                WHEN wait IS NULL THEN same.scheduled_at
                ELSE least(clock_timestamp() + wait, old.created_at + max_wait)
            END AS at
        FROM unnest(places, ids) AS given (place, id)
        INNER JOIN procrastinate_jobs AS old ON old.id = given.id
        ORDER BY old.id, given.place DESC
    ) AS newest
    WHERE job.id = newest.id AND job.status = 'todo';
    IF moves AND wait IS NULL AND coalesce(same.scheduled_at <= now(), true) THEN
        PERFORM workrow.notify_queue_v1(same.queue_name, 'job_inserted', 0);
    END IF;
END;
$$
