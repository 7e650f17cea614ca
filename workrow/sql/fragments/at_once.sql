-- When a job is to start that is held and has no time of its own: one that Python can read.
'1970-01-01 00:00:00+00'
