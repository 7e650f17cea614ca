DROP TABLE workrow.limit_calls, workrow.line_arrivals, workrow.lines, workrow.limit_slots, workrow.limit_buckets, workrow.limit_rules
