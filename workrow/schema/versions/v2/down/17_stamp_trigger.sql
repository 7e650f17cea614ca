%(again:v1/up/07_stamp_job_times_trigger.sql)s
