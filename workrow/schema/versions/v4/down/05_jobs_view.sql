%(again:v3/up/30_jobs_view.sql)s
