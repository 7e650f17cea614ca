DROP FUNCTION workrow.task_stats_v1
