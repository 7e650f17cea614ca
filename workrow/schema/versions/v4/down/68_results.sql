DROP FUNCTION workrow.notify_ended_v1, workrow.requeue_job_v1
