-- Make ready what can be claimed next: what arrived, is due, or waited for a slot that is free.
SELECT workrow.call_lines_v1()
