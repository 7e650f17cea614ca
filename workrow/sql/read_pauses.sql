-- What `workrow status` tells of pauses.
SELECT kind, name, actor, reason, paused_at
FROM workrow.pauses
WHERE resumed_at IS NULL
ORDER BY kind, name
