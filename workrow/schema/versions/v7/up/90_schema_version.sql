INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (7, %(upstream_version)s, false)
