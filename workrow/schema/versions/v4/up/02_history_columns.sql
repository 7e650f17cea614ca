ALTER TABLE workrow.history
    ADD COLUMN version smallint,
    ADD COLUMN unique_key text COLLATE "C",
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN progress jsonb,
    ADD COLUMN line text COLLATE "C"
