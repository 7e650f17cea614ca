-- How the parts of headers have ended, until the body is sent.
CREATE TABLE workrow.celery_parts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id text COLLATE "C" NOT NULL,
    position integer,
    task_id text NOT NULL,
    state text NOT NULL,
    value jsonb
)
