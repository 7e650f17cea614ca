%(again:v3/up/14_release_job.sql)s
