-- Enqueue again, from the next due time on.
SELECT workrow.resume_schedule_v1(%(schedule)s) AS done
