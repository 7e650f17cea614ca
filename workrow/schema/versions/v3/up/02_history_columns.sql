-- quarantine: why a job may not run again until somebody releases it.
ALTER TABLE workrow.history
    ADD COLUMN claims integer NOT NULL DEFAULT 0,
    ADD COLUMN crashes integer NOT NULL DEFAULT 0,
    ADD COLUMN quarantine text
