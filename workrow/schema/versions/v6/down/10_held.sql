DROP VIEW workrow.held
