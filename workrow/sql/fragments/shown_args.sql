-- A job's arguments as whoever looks may see them: *** in place of those that its task hides; the name * hides all of them.
coalesce(
    (
        SELECT
            CASE
                WHEN bool_or(hidden.name = '*') OR jsonb_typeof(job.args) <> 'object' THEN CAST('{"***": "***"}' AS jsonb)
                ELSE job.args || coalesce(
                    jsonb_object_agg(hidden.name, '***') FILTER (WHERE jsonb_exists(job.args, hidden.name)), CAST('{}' AS jsonb)
                )
            END
        FROM workrow.hidden_arguments AS hidden
        WHERE hidden.task_name = job.task_name AND hidden.name <> 'return'
        HAVING count(*) > 0
    ),
    job.args
)
