-- What the foreign key's ON DELETE SET NULL did, a statement at a time.
CREATE OR REPLACE FUNCTION workrow.orphan_jobs_v1() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE procrastinate_jobs
    SET worker_id = NULL
    WHERE worker_id = ANY(ARRAY(SELECT id FROM deleted)) AND status = 'doing';
    DELETE FROM workrow.sleepers WHERE worker_id = ANY(ARRAY(SELECT id FROM deleted));
    RETURN NULL;
END;
$$
