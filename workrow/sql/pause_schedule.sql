-- Stop enqueueing until resume_schedule.
SELECT workrow.pause_schedule_v1(%(schedule)s, %(actor)s, %(reason)s) AS done
