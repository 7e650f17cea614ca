-- The name is that of the public view; version 3's workers write their ticks through it.
ALTER TABLE workrow.schedules RENAME TO timetable
