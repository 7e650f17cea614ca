CREATE INDEX limit_holds_idx ON workrow.limit_holds (bucket, until)
