DROP FUNCTION
    workrow.celery_write_v1, workrow.celery_once_v1, workrow.celery_revoke_v1, workrow.celery_prune_v1, workrow.celery_forget_v1,
    workrow.celery_command_v1, workrow.celery_replies_v1,
    workrow.celery_move_v1, workrow.celery_dial_v1, workrow.celery_switch_v1
