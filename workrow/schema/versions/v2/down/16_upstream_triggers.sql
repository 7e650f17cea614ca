%(upstream_triggers)s
