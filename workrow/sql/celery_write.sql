-- What an app of the Celery door sends: calls, results, headers of chords, saved groups.
SELECT CAST(workrow.celery_write_v1(ARRAY[CAST(%(effects)s AS jsonb)]) AS text) AS done
