-- Tell whoever listens, as procrastinate's triggers did. "event" is job_inserted or abort_job_requested.
-- With no room for it, COMMIT would be refused.
CREATE OR REPLACE FUNCTION workrow.notify_queue_v1(queue text, event text, job_id bigint) RETURNS void
LANGUAGE sql
AS $$
    SELECT pg_notify(channel.name, CAST(json_build_object('type', event, 'job_id', job_id) AS text))
    FROM (VALUES (CAST('procrastinate_queue_v1#' || queue AS name)), ('procrastinate_any_queue_v1')) AS channel (name)
    WHERE {room_to_notify}
$$
