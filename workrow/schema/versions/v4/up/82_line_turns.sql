-- The turn that was reached, in thousandths: whoever comes new, or back from being blocked, stands there, not further ahead.
CREATE SEQUENCE workrow.line_turns AS bigint MINVALUE 0 START 0
