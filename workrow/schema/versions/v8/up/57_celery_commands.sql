-- What workers of Celery apps are told, or asked, by app.control: each of them reads what was sent since it started.
CREATE TABLE workrow.celery_commands (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    method text NOT NULL,
    arguments jsonb NOT NULL,
    -- names of workers; NULL: all
    destination text[],
    -- what the names of workers match, and how: "glob" or "pcre"; NULL: any
    pattern text,
    matcher text,
    sent_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
