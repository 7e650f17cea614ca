-- When the next schedule is due, or, if "jobs" is true, the next of the jobs that wait for their time.
SELECT
    least(
        (
            SELECT min(next_due)
            FROM workrow.timetable
            WHERE paused_at IS NULL AND next_due > clock_timestamp()
        ),
        (
            SELECT min(CASE WHEN line IS NULL THEN scheduled_at ELSE due_at END)
            FROM procrastinate_jobs
            WHERE
                %(jobs)s
                AND status = 'todo'
                AND CASE WHEN line IS NULL THEN scheduled_at ELSE due_at END > clock_timestamp()
        )
    ) AS due
