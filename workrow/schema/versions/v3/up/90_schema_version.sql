INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (3, %(upstream_version)s, false)
