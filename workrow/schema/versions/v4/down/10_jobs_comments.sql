%(again:v1/up/30_jobs_comments.sql)s
