-- Jobs have ended: one notification a statement, and only if somebody waits. It does not say which: rows for the
-- trigger to look at (REFERENCING NEW TABLE) would be a second copy of every job that ends.
CREATE OR REPLACE FUNCTION workrow.notify_ended_v1() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT FROM workrow.waiters WHERE until > clock_timestamp()) AND {room_to_notify} THEN
        PERFORM pg_notify('workrow_ended', '');
    END IF;
    RETURN NULL;
END;
$$
