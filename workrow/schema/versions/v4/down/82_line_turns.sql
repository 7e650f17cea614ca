DROP SEQUENCE workrow.line_turns
