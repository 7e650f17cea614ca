%(again:v2/up/33_end_job.sql)s
