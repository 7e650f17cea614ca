-- A job of the Celery door has ended without its worker, which would have said what follows. A call that waited was
-- cancelled, by other words than Celery's, or the worker that was to terminate it has died: that revokes the call. Its
-- result lasts as long as results do where nobody says anything else. A chord whose body is not sent has a job that ends the
-- body; and who cancels that, or another that tells how a call has ended, has it told all the same.
CREATE OR REPLACE FUNCTION workrow.celery_cancelled_v1() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    word text := 'cancelled';
BEGIN
    IF NEW.task_name = 'workrow.celery.ended' THEN
        INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES (NEW.queue_name, NEW.task_name, NEW.args);
        RETURN NULL;
    END IF;
    IF NEW.status = 'aborted' THEN
        -- else its worker has told it, and what stands there is of a run before
        IF CAST(NEW.errors -> -1 ->> 'at' AS timestamptz) < now() THEN
            RETURN NULL;
        END IF;
        word := 'terminated';
    END IF;
    IF NEW.task_name = 'workrow.celery.join' THEN
        INSERT INTO procrastinate_jobs (queue_name, task_name, args)
        VALUES (
            NEW.queue_name, 'workrow.celery.ended',
            jsonb_build_object('failure', jsonb_build_object(
                'job_id', NEW.id, 'task', NEW.task_name, 'queue', NEW.queue_name, 'args', NEW.args, 'revoked', word
            ))
        );
        RETURN NULL;
    END IF;
    IF current_setting('workrow.celery_revokes', true) = 'on' THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.celery_revoked_v1(
        NEW.id, NEW.task_name, NEW.queue_name, NEW.args,
        jsonb_build_object('__json__', jsonb_build_object(
            'exc_type', 'TaskRevokedError', 'exc_message', jsonb_build_array(word), 'exc_module', 'celery.exceptions'
        ) #>> '{}'),
        86400
    );
    RETURN NULL;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'job % is %, and its Celery result cannot say so: %', NEW.id, NEW.status, SQLERRM;
    RETURN NULL;
END;
$$
