%(again:v2/up/41_queues_view.sql)s
