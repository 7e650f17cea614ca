-- Chords whose header runs. Their body is sent when as many parts have ended as the header has.
CREATE TABLE workrow.celery_chords (
    group_id text COLLATE "C" PRIMARY KEY,
    -- NULL: nobody has said it yet
    size integer,
    ended integer NOT NULL DEFAULT 0,
    fired boolean NOT NULL DEFAULT false,
    -- of the part that ended last: the body, its ids and the calls that it made, and its queue
    body jsonb,
    last_part jsonb,
    queue_name text,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50)
