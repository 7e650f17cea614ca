ALTER TABLE workrow.history
    DROP COLUMN version,
    DROP COLUMN unique_key,
    DROP COLUMN expires_at,
    DROP COLUMN progress,
    DROP COLUMN line
