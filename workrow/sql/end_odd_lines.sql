-- Quarantine waiting jobs whose "line" is none, for somebody wrote it by hand: no claim finds them. Those that are due are
-- seen each time, and of the ready ones a number of lines after a cursor, one probe of their index each. The second column
-- is the next cursor, empty at the end.
WITH RECURSIVE seen (line, n) AS (
    (
        SELECT job.line, 1
        FROM procrastinate_jobs AS job
        WHERE job.status = 'todo' AND job.line IS NOT NULL AND job.due_at IS NULL AND job.line >= %(after)s
        ORDER BY job.line
        LIMIT 1
    )
    UNION ALL
    SELECT following.line, seen.n + 1
    FROM seen
    CROSS JOIN LATERAL (
        SELECT job.line
        FROM procrastinate_jobs AS job
        WHERE job.status = 'todo' AND job.line IS NOT NULL AND job.due_at IS NULL AND job.line > seen.line
        ORDER BY job.line
        LIMIT 1
    ) AS following
    WHERE seen.n < %(lines)s
),

odd AS (
    SELECT job.id
    FROM procrastinate_jobs AS job
    WHERE
        job.id = ANY(ARRAY(
            SELECT due.id
            FROM procrastinate_jobs AS due
            WHERE
                due.status = 'todo' AND due.line IS NOT NULL AND due.due_at IS NOT NULL
                -- by itself a volatile function is no bound of an index scan
                AND due.due_at <= (SELECT clock_timestamp())
                AND NOT {text_of_a_line:due}
            ORDER BY due.due_at
            LIMIT %(max_rows)s
        ) || ARRAY(
            SELECT ready.id
            FROM procrastinate_jobs AS ready
            WHERE
                ready.status = 'todo' AND ready.line IS NOT NULL AND ready.due_at IS NULL
                AND ready.line = ANY(ARRAY(SELECT seen.line FROM seen WHERE NOT {text_of_a_line:seen}))
            ORDER BY ready.line, ready.priority DESC
            LIMIT %(max_rows)s
        ))
        AND job.status = 'todo'
    LIMIT %(max_rows)s
    FOR UPDATE SKIP LOCKED
)

SELECT
    (
        SELECT
            CAST(count(workrow.end_job_v2(
                odd.id, CAST(ARRAY['todo'] AS procrastinate_job_status[]), 'failed', NULL,
                'its column "line" holds a text that is no line of a limit: enqueue it again'
            )) AS integer)
        FROM odd
    ) AS done,
    coalesce((SELECT seen.line FROM seen WHERE seen.n = %(lines)s), '') AS cursor
