DROP TYPE workrow.limit_room
