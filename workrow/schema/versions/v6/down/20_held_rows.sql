DROP TABLE workrow.held_rows
