DROP FUNCTION workrow.tick_schedules_v1, workrow.tick_call_v1
