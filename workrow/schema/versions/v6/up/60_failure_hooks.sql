-- Which task is called when a job of a task has ended badly, as workers declare it, and how its job is enqueued: with the
-- failure as its only argument.
CREATE TABLE workrow.failure_hooks (
    task_name text PRIMARY KEY,
    hook_name text NOT NULL,
    argument text NOT NULL,
    queue_name text NOT NULL,
    priority integer NOT NULL,
    lock text,
    line text,
    scheduled_at timestamptz,
    version smallint
)
