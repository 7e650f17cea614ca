-- One row for each installed version of this schema; the highest is the installed one.
CREATE TABLE workrow.schema_version (
    version integer PRIMARY KEY,
    installed_at timestamptz NOT NULL DEFAULT now(),
    upstream text NOT NULL,    -- the release of procrastinate whose schema it stands on
    adopted boolean NOT NULL   -- procrastinate's schema was already there: a downgrade leaves it
)
