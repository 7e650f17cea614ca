INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (5, %(upstream_version)s, false)
