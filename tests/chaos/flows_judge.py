"""What is to have come of workflows and batches, if none of their jobs was quarantined."""

from tests.chaos.facts import Connection, Facts, Finding, told

HEALTHY = """
    SELECT flow.flow, flow.kind, flow.size, whole.id, whole.state FROM chaos.flows AS flow
    INNER JOIN workrow.workflows AS whole ON whole.name = flow.flow
    WHERE NOT EXISTS (SELECT FROM workrow.quarantine AS bad WHERE bad.args ->> 'flow' = flow.flow)
"""
WANTED = """
    SELECT flow, 'ended ' || state AS part FROM healthy
    UNION ALL
    SELECT flow, unnest(ARRAY['first', 'body', 'last', 'two 1', 'two 2']) FROM healthy WHERE kind = 'whole'
    UNION ALL
    SELECT flow, 'part ' || generate_series(0, size - 1) FROM healthy WHERE kind IN ('whole', 'batch')
    UNION ALL
    SELECT flow, unnest(ARRAY['part 0 more', 'plain']) FROM healthy WHERE kind = 'batch'
    UNION ALL
    -- what has succeeded of one that was to fail, and what takes it back
    SELECT healthy.flow, way.word || (job.args ->> 'part')
    FROM healthy
    INNER JOIN workrow.history AS job ON job.workflow_id = healthy.id AND job.status = 'succeeded'
    CROSS JOIN (VALUES (''), ('undo ')) AS way (word)
    WHERE healthy.kind = 'broken' AND job.task_name IN ('chaos.flow.exact', 'chaos.flow.plain')
"""


def flows_unfinished(conn: Connection, facts: Facts) -> Finding:
    """Workflows that are there other than once for their commit, have not ended, or otherwise than they should."""
    return told(
        conn,
        f"""SELECT kind || ' ' || flow || ' is there ' || count(whole.id) || ' times'
            FROM chaos.flows LEFT JOIN workrow.workflows AS whole ON whole.name = flow
            GROUP BY flow, kind HAVING count(whole.id) <> 1
            UNION ALL
            SELECT 'workflow ' || id || ' (' || name || ') ' || CASE
                WHEN ended_at IS NULL THEN 'is ' || state ELSE 'is of a transaction that was rolled back'
            END
            FROM workrow.workflows WHERE ended_at IS NULL OR name NOT IN (SELECT flow FROM chaos.flows)
            UNION ALL
            SELECT kind || ' ' || flow || ' has ' || state
            FROM ({HEALTHY}) AS healthy
            WHERE state <> CASE kind WHEN 'broken' THEN 'failed' ELSE 'succeeded' END""",
    )


def parts_wrong(conn: Connection, facts: Facts) -> Finding:
    """Parts, bodies, callbacks and compensations that did not run, ran as two jobs, or had their effect twice."""
    return told(
        conn,
        f"""WITH healthy AS MATERIALIZED ({HEALTHY}),
            wanted AS MATERIALIZED ({WANTED}),
            left_ AS MATERIALIZED (
                SELECT flow, part, count(DISTINCT job_id) AS jobs, count(*) FILTER (WHERE exact) AS times
                FROM chaos.parts GROUP BY flow, part
            )
            SELECT flow || ': ' || part || ' ran as ' || jobs || ' jobs, with ' || times || ' effects of its end'
            FROM left_ WHERE jobs > 1 OR times > 1
            UNION ALL
            SELECT flow || ': ' || part || ' never ran' FROM wanted
            WHERE (flow, part) NOT IN (SELECT flow, part FROM left_)
            UNION ALL
            SELECT flow || ': ' || part || ' ran, and should not have'
            FROM left_ INNER JOIN healthy USING (flow)
            WHERE (flow, part) NOT IN (SELECT flow, part FROM wanted) AND (times > 0 OR kind <> 'broken')
            UNION ALL
            SELECT flow || ': ' || part || ' ran after the end'
            FROM chaos.parts AS trace INNER JOIN healthy USING (flow)
            WHERE exact AND kind = 'batch' AND trace.number > (
                SELECT min(number) FROM chaos.parts AS last WHERE last.flow = trace.flow AND last.part LIKE 'ended%%'
            )""",
    )
