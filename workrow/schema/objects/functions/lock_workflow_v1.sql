-- Whether the workflow could be locked within a moment. A transactional task ends in the user's session, where nothing else bounds how
-- long it waits for somebody's open transaction.
CREATE OR REPLACE FUNCTION workrow.lock_workflow_v1(in_flow bigint) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    patience CONSTANT text := current_setting('lock_timeout');
BEGIN
    PERFORM set_config('lock_timeout', '100ms', true);
    PERFORM FROM workrow.flows WHERE id = in_flow FOR NO KEY UPDATE;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END;
$$
