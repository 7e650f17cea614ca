CREATE INDEX timetable_next_due_idx ON workrow.timetable (next_due) WHERE paused_at IS NULL
