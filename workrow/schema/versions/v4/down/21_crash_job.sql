%(again:v3/up/12_crash_job.sql)s
