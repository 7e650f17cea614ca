%(again:v1/up/23_tasks_view.sql)s
