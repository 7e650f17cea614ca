-- Let a quarantined job run again, as if it had never crashed; returns its id, or NULL if it is not quarantined.
CREATE OR REPLACE FUNCTION workrow.release_job_v1(job_id bigint) RETURNS bigint
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM workrow.history WHERE id = job_id AND quarantine IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    PERFORM procrastinate_retry_job_v2(job_id, now(), NULL, NULL, NULL);
    RETURN job_id;
EXCEPTION WHEN unique_violation THEN
    RAISE 'job % stays in quarantine: a newer job waits under its queueing lock', job_id USING ERRCODE = 'unique_violation';
END;
$$
