-- When nobody claims a job who does not know of limits: the scheduled_at of one that waits in a line.
'9000-01-01 00:00:00+00'
