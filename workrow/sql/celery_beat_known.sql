-- Entries that were brought from elsewhere: from where, and what they were there.
SELECT
    name,
    source,
    version
FROM workrow.celery_entries
WHERE app = %(app)s
