%(upstream_functions)s
