-- What workers have said to a command; a reply of NULL says only that it was read.
CREATE OR REPLACE FUNCTION workrow.celery_replies_v1(command_id bigint)
RETURNS TABLE (worker_id bigint, worker text, reply jsonb)
LANGUAGE sql
STABLE
AS $$
    SELECT said.worker_id, said.worker, said.reply
    FROM workrow.celery_replies AS said
    WHERE said.command_id = celery_replies_v1.command_id
    ORDER BY said.worker, said.worker_id
$$
