%(again:v1/up/31_queues_comments.sql)s
