%(again:v1/up/21_queues_view.sql)s
