-- Cancel a waiting job, or ask a running one to abort.
SELECT workrow.cancel_job_v1(%(id)s, %(terminate)s) AS verdict
