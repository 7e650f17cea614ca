%(again:v1/up/22_task_stats.sql)s
