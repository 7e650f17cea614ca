COMMENT ON FUNCTION workrow.task_stats_v1 IS 'The columns of workrow.tasks for any period that ends now'
