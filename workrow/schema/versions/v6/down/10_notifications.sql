DROP VIEW workrow.notifications
