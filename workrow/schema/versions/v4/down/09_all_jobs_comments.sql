%(again:v2/up/43_all_jobs_comments.sql)s
