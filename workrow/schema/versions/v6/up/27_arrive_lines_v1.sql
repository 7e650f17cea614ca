DROP FUNCTION workrow.arrive_lines_v1()
