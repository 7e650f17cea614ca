-- An entry that is sent once is not sent again. No row: another has sent it, or somebody has taken it out.
UPDATE workrow.celery_entries
SET enabled = false
WHERE app = %(app)s AND name = %(name)s AND enabled
RETURNING name
