ALTER TABLE workrow.timetable RENAME TO schedules
