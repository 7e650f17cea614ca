-- Delete a dynamic schedule, or a declared one that the code has no longer.
SELECT workrow.delete_schedule_v1(%(schedule)s) AS done
