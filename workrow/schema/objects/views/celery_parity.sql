CREATE OR REPLACE VIEW workrow.celery_parity AS
SELECT
    task,
    count(*) FILTER (WHERE verdict <> 'skipped') AS compared,
    count(*) FILTER (WHERE verdict = 'equal') AS equal,
    count(*) FILTER (WHERE verdict = 'result') AS other_result,
    count(*) FILTER (WHERE verdict = 'error') AS other_error,
    count(*) FILTER (WHERE verdict = 'skipped') AS skipped,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY their_seconds) FILTER (WHERE verdict <> 'skipped') AS their_seconds,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY our_seconds) FILTER (WHERE verdict <> 'skipped') AS our_seconds,
    (array_agg(why ORDER BY noted_at DESC) FILTER (WHERE verdict <> 'equal'))[1] AS last_difference,
    max(noted_at) AS last_at
FROM workrow.celery_bridge_shadows
GROUP BY task
