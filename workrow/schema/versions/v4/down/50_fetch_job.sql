%(again:v2/up/38_fetch_job.sql)s
