INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (6, %(upstream_version)s, false)
