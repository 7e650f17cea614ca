INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (2, %(upstream_version)s, false)
