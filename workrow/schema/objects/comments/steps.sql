DO $comment$
BEGIN
    COMMENT ON VIEW workrow.steps IS 'What the steps of jobs have done, and what jobs with steps wait for.';
    COMMENT ON COLUMN workrow.steps.job_id IS 'the job';
    COMMENT ON COLUMN workrow.steps.task IS 'its task''s name';
    COMMENT ON COLUMN workrow.steps.queue IS 'its queue''s name';
    COMMENT ON COLUMN workrow.steps.name IS 'the step''s name, once in a job';
    COMMENT ON COLUMN workrow.steps.kind IS 'step, sleep, wait (for a signal) or call (of another task)';
    COMMENT ON COLUMN workrow.steps.state IS 'done, waiting, timed out (a wait), failed (the job that was called), or left: the job ended before';
    COMMENT ON COLUMN workrow.steps.noted_at IS 'when it was written down: a step''s end, or when the job began to wait';
    COMMENT ON COLUMN workrow.steps.due_at IS 'a sleep''s end, a wait''s timeout; NULL: none';
    COMMENT ON COLUMN workrow.steps.signal IS 'the signal that it waits for';
    COMMENT ON COLUMN workrow.steps.child_id IS 'the job that was called';
    COMMENT ON COLUMN workrow.steps.ended_at IS 'when it was done';
    COMMENT ON COLUMN workrow.steps.result IS 'what it returned, or the signal''s value';
    COMMENT ON COLUMN workrow.steps.error IS 'why there is no result';
    COMMENT ON COLUMN workrow.steps.error_type IS 'its type';
END
$comment$
