%(upstream_indexes)s
