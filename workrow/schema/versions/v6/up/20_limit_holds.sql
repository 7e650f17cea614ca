-- Limits under which nothing starts for a time, because a job was told so (RateLimited). Whoever is told adds a row, and so
-- waits for nobody; the latest counts. One from the future is from before the clock was set back, and counts nothing.
CREATE TABLE workrow.limit_holds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bucket text COLLATE "C" NOT NULL,
    held_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL
)
