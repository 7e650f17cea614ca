DO $comment$
DECLARE
    column_name text;
BEGIN
    COMMENT ON VIEW workrow.all_jobs IS 'Live and finished jobs with the columns of procrastinate_jobs.';
    FOR column_name IN
        SELECT attname FROM pg_attribute WHERE attrelid = CAST('workrow.all_jobs' AS regclass) AND attnum > 0
    LOOP
        EXECUTE format('COMMENT ON COLUMN workrow.all_jobs.%I IS %L', column_name, 'as in procrastinate_jobs');
    END LOOP;
END
$comment$
