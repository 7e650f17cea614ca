DELETE FROM workrow.schema_version WHERE version = 8
