-- Make ready what can be claimed next: what arrived, is due, or waited for a slot that is free. Whether some of it is held,
-- and left for later.
SELECT workrow.call_lines_v2() AS is_left
