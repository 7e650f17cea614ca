DROP VIEW workrow.limits
