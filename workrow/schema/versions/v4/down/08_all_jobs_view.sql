%(again:v2/up/42_all_jobs_view.sql)s
