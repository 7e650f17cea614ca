DROP FUNCTION workrow.line_in_queue_v1(text, text)
