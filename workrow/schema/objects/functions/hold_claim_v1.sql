-- Whether a job is still claimed so. fenced: and it stays so until the end of the transaction; false too while somebody holds
-- the row, for nobody knows for how long. A signal's FOR SHARE is not in the way.
CREATE OR REPLACE FUNCTION workrow.hold_claim_v1(job_id bigint, owner bigint, token integer, fenced boolean) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    IF fenced THEN
        PERFORM FROM procrastinate_jobs
        WHERE id = job_id AND status = 'doing' AND worker_id = owner AND claims = token
        FOR SHARE SKIP LOCKED;
    ELSE
        PERFORM FROM procrastinate_jobs WHERE id = job_id AND status = 'doing' AND worker_id = owner AND claims = token;
    END IF;
    RETURN FOUND;
END;
$$
