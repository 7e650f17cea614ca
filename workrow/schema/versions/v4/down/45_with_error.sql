DROP FUNCTION workrow.with_error_v1
