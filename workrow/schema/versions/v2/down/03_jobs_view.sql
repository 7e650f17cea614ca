%(again:v1/up/20_jobs_view.sql)s
