%(again:v2/up/37_retry_job_v2.sql)s
