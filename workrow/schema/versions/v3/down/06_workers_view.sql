%(again:v1/up/24_workers_view.sql)s
