DROP VIEW workrow.schedules
