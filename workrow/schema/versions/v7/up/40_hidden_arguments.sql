-- What is never shown of a task's jobs: the names of arguments, * for all of them, return for what it returns. Workers and
-- producers note them, and nobody takes them back: a job of yesterday's code is still there. No key, for a second writer
-- would wait for the first one's transaction.
CREATE TABLE workrow.hidden_arguments (
    task_name text NOT NULL,
    -- stands in regular expressions of the views
    name text NOT NULL CHECK (name = '*' OR name !~ '[][(){}^$.|?*+\\]'),
    noted_at timestamptz NOT NULL DEFAULT now()
)
