-- A job has ended as failed or cancelled: if that is a bad end (not that somebody cancelled it, nor that a newer one does its
-- work), the hook of its task is enqueued, in the transaction that ends it. A hook's own failure calls nobody. A hook that
-- cannot be enqueued does not keep the job from ending.
CREATE OR REPLACE FUNCTION workrow.call_failure_hook_v1() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    hook workrow.failure_hooks;
    error CONSTANT jsonb := NEW.errors -> -1;
BEGIN
    SELECT * INTO hook FROM workrow.failure_hooks WHERE task_name = NEW.task_name;
    IF NOT FOUND
        -- whoever has to know has been told, by the statement that has ended it
        OR error ? 'told'
        OR NEW.status = 'cancelled' AND error ->> 'type' IS DISTINCT FROM 'workrow.Expired'
        OR EXISTS (SELECT FROM workrow.failure_hooks AS other WHERE other.hook_name = NEW.task_name)
    THEN
        RETURN NULL;
    END IF;
    BEGIN
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, scheduled_at, line, version, args)
        VALUES (
            coalesce(nullif(hook.queue_name, 'workrow.queue_of_the_job'), NEW.queue_name), hook.hook_name, hook.priority, hook.lock, hook.scheduled_at, hook.line, hook.version,
            jsonb_build_object(hook.argument, jsonb_build_object(
                'job_id', NEW.id,
                'task', NEW.task_name,
                'queue', NEW.queue_name,
                'args', {shown_args:NEW},
                'status', NEW.status,
                'reason', CASE
                    WHEN NEW.status = 'cancelled' THEN 'expired'
                    WHEN NEW.quarantine IS NOT NULL AND error ->> 'type' = 'workrow.Crashed' THEN 'crashed'
                    WHEN NEW.quarantine IS NOT NULL THEN 'bad_arguments'
                    WHEN CAST(error ->> 'discarded' AS boolean) THEN 'discarded'
                    ELSE 'failed'
                END,
                'error_type', error ->> 'type',
                'error_message', error ->> 'message',
                'traceback', error ->> 'traceback',
                'attempts', NEW.attempts,
                'crashes', NEW.crashes,
                'failed_at', NEW.finished_at
            ))
        );
    EXCEPTION WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR raise_exception THEN
        RAISE WARNING 'job % has failed, and its hook % cannot be enqueued: %', NEW.id, hook.hook_name, SQLERRM;
    END;
    RETURN NULL;
END;
$$
