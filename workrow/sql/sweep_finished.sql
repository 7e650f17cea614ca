-- Move finished rows that stock code left in the live table.
SELECT workrow.sweep_finished_v1(%(max_rows)s) AS done
