INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (8, %(upstream_version)s, false)
