CREATE OR REPLACE VIEW workrow.pauses AS
SELECT kind, name, actor, reason, paused_at, resumed_at, resumed_by, resume_reason
FROM workrow.pause_log
