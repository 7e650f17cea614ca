DROP FUNCTION workrow.pause_schedule_v1, workrow.resume_schedule_v1, workrow.delete_schedule_v1
