-- Install procrastinate's schema, or adopt the one that an existing user of procrastinate brings along.
-- The text is read from the installed package. EXECUTE analyses each of its statements just before running it.
DO $install$
DECLARE
    missing text;
BEGIN
    IF to_regclass('procrastinate_jobs') IS NULL THEN
        EXECUTE %(upstream_schema)s;
        INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (1, %(upstream_version)s, false);
        RETURN;
    END IF;

    SELECT string_agg(needed.name, ', ') INTO missing
    FROM unnest(ARRAY[
        'procrastinate_defer_jobs_v1', 'procrastinate_defer_periodic_job_v2', 'procrastinate_fetch_job_v2',
        'procrastinate_finish_job_v1', 'procrastinate_cancel_job_v1', 'procrastinate_retry_job_v2',
        'procrastinate_register_worker_v1', 'procrastinate_unregister_worker_v1',
        'procrastinate_update_heartbeat_v1', 'procrastinate_prune_stalled_workers_v1'
    ]) AS needed (name)
    WHERE NOT EXISTS (
        SELECT FROM pg_proc WHERE pg_proc.proname = needed.name AND pg_function_is_visible(pg_proc.oid)
    );
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'this database has an older procrastinate schema, without %: '
            'apply procrastinate''s own migrations up to % first, see `procrastinate schema --migrations-path`',
            missing, %(upstream_version)s
            USING ERRCODE = 'WR001';
    END IF;
    INSERT INTO workrow.schema_version (version, upstream, adopted) VALUES (1, %(upstream_version)s, true);
END
$install$
