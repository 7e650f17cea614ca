-- What workrow.limit_rooms_v1 says of a bucket. room: how many more it admits. again_at: when that is nothing, and only time
-- will help. counted: its running jobs hold slots. tokens, asked_at, cell: the state of a rate, NULL without one.
CREATE TYPE workrow.limit_room AS (
    bucket text,
    room double precision,
    weight double precision,
    again_at timestamptz,
    counted boolean,
    tokens double precision,
    asked_at timestamptz,
    cell bigint
)
