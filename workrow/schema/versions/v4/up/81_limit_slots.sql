-- Who holds a slot of a bucket: valid as long as the job runs by this claim, however it ends. Nobody has to give one back.
CREATE TABLE workrow.limit_slots (
    bucket text COLLATE "C" NOT NULL,
    job_id bigint NOT NULL,
    token integer NOT NULL,
    PRIMARY KEY (bucket, job_id, token)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
