-- nobody of the older version would tick them
DELETE FROM workrow.timetable WHERE dynamic
