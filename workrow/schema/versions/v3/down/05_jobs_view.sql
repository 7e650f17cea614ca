%(again:v2/up/40_jobs_view.sql)s
