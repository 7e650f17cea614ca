%(again:v1/up/33_workers_comments.sql)s
