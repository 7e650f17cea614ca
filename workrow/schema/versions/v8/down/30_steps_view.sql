DROP VIEW workrow.steps
