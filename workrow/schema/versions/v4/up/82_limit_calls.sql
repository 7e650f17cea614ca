-- Limits that were changed at run time: who waits for them is to ask again. Claims take these rows, because only they hold
-- the buckets for no longer than a moment; and they see a row when the change itself is committed.
CREATE TABLE workrow.limit_calls (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL
)
