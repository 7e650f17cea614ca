CREATE INDEX celery_bridge_moves_moved_idx ON workrow.celery_bridge_moves (moved_at)
