%(again:v1/up/32_tasks_comments.sql)s
