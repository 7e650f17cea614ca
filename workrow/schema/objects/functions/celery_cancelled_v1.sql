-- A job of a call of a Celery task was cancelled while it waited, by other words than Celery's: that revokes the call. Its
-- result lasts as long as results do where nobody says anything else.
CREATE OR REPLACE FUNCTION workrow.celery_cancelled_v1() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF current_setting('workrow.celery_revokes', true) = 'on' THEN
        RETURN NULL;
    END IF;
    PERFORM workrow.celery_revoked_v1(
        NEW.id, NEW.task_name, NEW.queue_name, NEW.args,
        '{"__json__": "{\"exc_type\": \"TaskRevokedError\", \"exc_message\": [\"cancelled\"], \"exc_module\": \"celery.exceptions\"}"}',
        86400
    );
    RETURN NULL;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'job % is cancelled, and its Celery result cannot say so: %', NEW.id, SQLERRM;
    RETURN NULL;
END;
$$
