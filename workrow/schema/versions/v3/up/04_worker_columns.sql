-- lease: silent for longer, the worker is dead. tasks: the names it knows. refused: finishes that came too late.
-- death: what its supervisor saw, such as "killed by SIGKILL".
ALTER TABLE workrow.worker_details
    ADD COLUMN lease interval,
    ADD COLUMN tasks text[],
    ADD COLUMN refused bigint NOT NULL DEFAULT 0,
    ADD COLUMN death text
