%(again:v1/up/34_task_stats_comment.sql)s
