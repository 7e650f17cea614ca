%(again:v2/up/36_retry_job_v1.sql)s
