-- All days before this migration: what an existing database brings along.
DO $past$
BEGIN
    EXECUTE format(
        'CREATE TABLE workrow.history_past PARTITION OF workrow.history FOR VALUES FROM (MINVALUE) TO (%L)',
        date_trunc('day', now(), 'UTC')
    );
END
$past$
