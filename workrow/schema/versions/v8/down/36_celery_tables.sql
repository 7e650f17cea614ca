DROP TABLE workrow.celery_results, workrow.celery_groups, workrow.celery_chords, workrow.celery_parts, workrow.celery_revoked, workrow.celery_beat,
    workrow.celery_commands, workrow.celery_replies, workrow.celery_untold,
    workrow.celery_bridge_dials, workrow.celery_bridge_switch, workrow.celery_bridge_moves, workrow.celery_bridge_shadows
