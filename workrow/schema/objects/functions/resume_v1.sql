-- End a pause and wake whoever sleeps; returns whether there was one.
CREATE OR REPLACE FUNCTION workrow.resume_v1(kind text, name text, actor text DEFAULT NULL, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM workrow.pause_log AS past WHERE past.resumed_at < now() - INTERVAL '90 days';
    UPDATE workrow.pause_log AS pause
    SET resumed_at = clock_timestamp(), resumed_by = resume_v1.actor, resume_reason = resume_v1.reason
    WHERE pause.kind = resume_v1.kind AND pause.name = resume_v1.name AND pause.resumed_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF resume_v1.kind = 'queue' THEN
        PERFORM workrow.notify_queue_v1(resume_v1.name, 'job_inserted', 0);
    ELSE
        PERFORM workrow.notify_queue_v1(known.name, 'job_inserted', 0) FROM workrow.queue_names AS known;
    END IF;
    RETURN true;
END;
$$
