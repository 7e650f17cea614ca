-- Lines that got a job. Producers only insert here, so that no two of them, however long their transactions are, wait for
-- each other; claims make rows of workrow.lines of it.
CREATE TABLE workrow.line_arrivals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    line text COLLATE "C" NOT NULL,
    priority integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
