-- Let a quarantined job run again, as if it had never crashed; returns its id, or NULL if it is not quarantined.
-- Its quarantine was no attempt.
CREATE OR REPLACE FUNCTION workrow.release_job_v1(job_id bigint) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    verdict text;
BEGIN
    IF NOT EXISTS (SELECT FROM workrow.history WHERE id = job_id AND quarantine IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    verdict := workrow.requeue_job_v1(job_id);
    IF verdict LIKE 'never: %' THEN
        RAISE 'job % stays in quarantine: its workflow cannot be retried: %', job_id, substr(verdict, 8) USING ERRCODE = 'no_data_found';
    ELSIF verdict = 'blocked' THEN
        RAISE 'job % stays in quarantine: a newer job waits under its queueing lock, or has its unique key', job_id USING ERRCODE = 'unique_violation';
    END IF;
    RETURN job_id;
END;
$$
