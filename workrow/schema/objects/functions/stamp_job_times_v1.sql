-- clock_timestamp(), not now(): an attempt may begin and end within one transaction.
CREATE OR REPLACE FUNCTION workrow.stamp_job_times_v1()
RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    IF NEW.status = 'doing' THEN
        NEW.started_at := clock_timestamp();
    END IF;
    IF NEW.status IN ('succeeded', 'failed', 'cancelled', 'aborted') THEN
        NEW.finished_at := clock_timestamp();
    ELSE
        NEW.finished_at := NULL;
    END IF;
    RETURN NEW;
END
$function$
