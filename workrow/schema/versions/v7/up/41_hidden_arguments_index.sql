CREATE INDEX hidden_arguments_task_name_idx ON workrow.hidden_arguments (task_name)
