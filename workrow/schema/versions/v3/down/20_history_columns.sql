ALTER TABLE workrow.history
    DROP COLUMN claims,
    DROP COLUMN crashes,
    DROP COLUMN quarantine
