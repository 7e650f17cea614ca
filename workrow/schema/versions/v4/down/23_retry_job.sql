%(again:v3/up/17_retry_job_v2.sql)s
