DROP FUNCTION workrow.note_queues_v1(text[])
