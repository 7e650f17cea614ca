%(upstream_pruning)s
