DROP TABLE workrow.schema_version
