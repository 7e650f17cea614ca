DROP FUNCTION workrow.call_lines_v2(), workrow.arrive_lines_v2(text[]), workrow.held_lines_v1()
