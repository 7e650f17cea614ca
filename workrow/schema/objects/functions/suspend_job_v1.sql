-- A job gives its slot away until what it waits for is there: the times and signals of "waits", or the end of a call. Fenced;
-- no attempt is counted. What came while it still ran is seen here: this locks its row, as a signal does, and the rows of its
-- calls, as their ends do, and then looks. Returns "waits"; "aborting", when it was asked to abort; "superseded", when a newer
-- job waits under its queueing lock; NULL, when it is not ours, or, unless "patient", somebody holds its row.
CREATE OR REPLACE FUNCTION workrow.suspend_job_v1(
    job_id bigint, owner bigint, token integer, waits jsonb, progress jsonb, patient boolean
) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    job procrastinate_jobs;
    wake timestamptz;
    moment timestamptz;
BEGIN
    IF patient THEN
        SELECT * INTO job
        FROM procrastinate_jobs AS own
        WHERE own.id = suspend_job_v1.job_id AND own.status = 'doing' AND own.worker_id = owner AND own.claims = suspend_job_v1.token
        FOR NO KEY UPDATE;
    ELSE
        SELECT * INTO job
        FROM procrastinate_jobs AS own
        WHERE own.id = suspend_job_v1.job_id AND own.status = 'doing' AND own.worker_id = owner AND own.claims = suspend_job_v1.token
        FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF job.abort_requested THEN
        RETURN 'aborting';
    ELSIF job.queueing_lock IS NOT NULL AND EXISTS (
        SELECT FROM procrastinate_jobs AS newer WHERE newer.status = 'todo' AND newer.queueing_lock = job.queueing_lock
    ) THEN
        RETURN 'superseded';
    END IF;
    INSERT INTO workrow.job_steps AS known (job_id, name, kind, token, due_at, signal)
    SELECT job.id, wait.name, wait.kind, job.claims, clock_timestamp() + wait.seconds * INTERVAL '1 second', wait.signal
    FROM jsonb_to_recordset(waits) AS wait (name text, kind text, seconds double precision, signal text)
    ORDER BY wait.name
    ON CONFLICT ON CONSTRAINT job_steps_pkey DO UPDATE SET token = excluded.token
    WHERE known.ended_at IS NULL;
    moment := clock_timestamp();
    SELECT min(
        CASE
            WHEN
                step.ended_at IS NOT NULL
                OR EXISTS (
                    SELECT FROM workrow.job_signals AS sent
                    WHERE sent.job_id = step.job_id AND sent.name = step.signal AND sent.taken_by IS NULL
                )
                THEN moment
            ELSE step.due_at
        END
    )
    INTO wake
    FROM workrow.job_steps AS step
    WHERE step.job_id = job.id AND step.name IN (SELECT each ->> 'name' FROM jsonb_array_elements(waits) AS each);
    wake := least(wake, {far_future});
    UPDATE procrastinate_jobs AS own
    SET
        status = 'todo',
        worker_id = NULL,
        -- it has started in time
        expires_at = NULL,
        scheduled_at = CASE WHEN own.line IS NULL AND own.held_at IS NULL THEN wake ELSE {far_future} END,
        due_at = CASE WHEN own.line IS NULL THEN NULL WHEN own.held_at IS NULL THEN wake ELSE {far_future} END,
        held_at = CASE WHEN own.held_at IS NOT NULL THEN wake END,
        staged_at = NULL,
        progress = coalesce(suspend_job_v1.progress || jsonb_build_object('at', clock_timestamp()), own.progress)
    WHERE own.id = job.id;
    IF wake <= moment THEN
        PERFORM workrow.wake_job_v1(job.id, job.claims);
    END IF;
    RETURN 'waits';
END;
$$
