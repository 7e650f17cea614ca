%(again:v2/up/32_sweep_finished.sql)s
