-- Keep how a shadow run compares; a job that runs again replaces what it has written.
INSERT INTO workrow.celery_bridge_shadows (task_id, task, verdict, why, their_seconds, our_seconds)
VALUES (
    CAST(%(task_id)s AS text), CAST(%(task)s AS text), CAST(%(verdict)s AS text), CAST(%(why)s AS text),
    CAST(%(their_seconds)s AS double precision), CAST(%(our_seconds)s AS double precision)
)
ON CONFLICT (task_id) DO UPDATE
SET
    verdict = excluded.verdict,
    why = excluded.why,
    their_seconds = excluded.their_seconds,
    our_seconds = excluded.our_seconds,
    noted_at = excluded.noted_at
RETURNING verdict
