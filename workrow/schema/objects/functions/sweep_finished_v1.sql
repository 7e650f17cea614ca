-- Move to history what stock workers have finished and left in the table; returns how many. One that history refuses (by
-- somebody's trigger, or a constraint) keeps no other.
CREATE OR REPLACE FUNCTION workrow.sweep_finished_v1(max_rows integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    part record;
    moved integer := 0;
    one bigint;
    patience CONSTANT text := current_setting('lock_timeout');
BEGIN
    FOR part IN
        SELECT ended.workflow_id, array_agg(ended.id) AS ids
        FROM (
            SELECT job.id, job.workflow_id
            FROM procrastinate_jobs AS job
            WHERE
                job.status NOT IN ('todo', 'doing')
                AND CASE
                    WHEN job.workflow_id IS NULL THEN true
                    ELSE EXISTS (
                        SELECT FROM workrow.flows AS flow WHERE flow.id = job.workflow_id FOR NO KEY UPDATE SKIP LOCKED
                    )
                END
            ORDER BY job.id
            LIMIT max_rows
            FOR UPDATE SKIP LOCKED
        ) AS ended
        GROUP BY ended.workflow_id
        ORDER BY ended.workflow_id
    LOOP
        BEGIN
            moved := moved + workrow.move_finished_v1(part.ids);
        EXCEPTION WHEN lock_not_available THEN
            -- somebody's open transaction has the key of what follows; of others like it, each would take as long
            PERFORM set_config('lock_timeout', '2ms', true);
        WHEN OTHERS THEN
            IF workrow.is_passing_v1(SQLSTATE) THEN
                RAISE;
            END IF;
            FOREACH one IN ARRAY part.ids LOOP
                BEGIN
                    moved := moved + workrow.move_finished_v1(ARRAY[one]);
                EXCEPTION WHEN OTHERS THEN
                    IF workrow.is_passing_v1(SQLSTATE) THEN
                        RAISE;
                    END IF;
                    RAISE WARNING 'job % has ended, and cannot be moved to history: %', one, SQLERRM;
                END;
            END LOOP;
        END;
    END LOOP;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN moved;
END;
$$
