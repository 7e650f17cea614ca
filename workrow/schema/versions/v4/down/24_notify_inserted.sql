%(again:v2/up/27_notify_inserted.sql)s
