%(again:v3/up/16_sweep_finished.sql)s
