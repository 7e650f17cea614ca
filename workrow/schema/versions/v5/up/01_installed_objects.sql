-- Which text each of our functions, triggers and views was made from, and what the catalogue said of it right after: so an
-- upgrade makes only what differs, and `workrow schema status` can tell what was changed by hand.
CREATE TABLE workrow.installed_objects (
    name text PRIMARY KEY,
    text_hash text NOT NULL,
    found_hash text NOT NULL
)
