-- Note which arguments of tasks are never shown. What others note at the same time is noted twice, so that nobody waits.
INSERT INTO workrow.hidden_arguments (task_name, name)
SELECT given.task_name, given.name
FROM (
    SELECT task.key AS task_name, jsonb_array_elements_text(task.value) AS name
    FROM jsonb_each(CAST(%(hidden)s AS jsonb)) AS task
) AS given
WHERE NOT EXISTS (
    SELECT FROM workrow.hidden_arguments AS known
    WHERE known.task_name = given.task_name AND known.name = given.name
)
RETURNING name
