-- The line of a job that moves to another queue; NULL stays, and so does the line where queue is NULL.
CREATE OR REPLACE FUNCTION workrow.line_in_queue_v1(line text, queue text) RETURNS text
LANGUAGE sql
IMMUTABLE
AS $$
    SELECT CASE
        WHEN queue IS NULL OR line IS NULL THEN line
        ELSE CAST(jsonb_set(CAST(line AS jsonb), '{0}', to_jsonb(queue)) AS text)
    END
$$
