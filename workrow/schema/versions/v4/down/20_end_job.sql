%(again:v3/up/06_end_job_v2.sql)s
