DO $comment$
BEGIN
    COMMENT ON COLUMN workrow.jobs.claims IS 'how often a worker has taken it: no attempt can have started more often';
    COMMENT ON COLUMN workrow.jobs.crashes IS 'how often its worker, or its process, died under it';
    COMMENT ON COLUMN workrow.jobs.quarantine IS 'why it does not run again until workrow.release_job_v1(id); NULL: not quarantined';
END
$comment$
