INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (4, %(upstream_version)s, false)
