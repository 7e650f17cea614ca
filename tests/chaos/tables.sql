CREATE SCHEMA chaos;
-- the business rows: one job for each, in the same transaction
CREATE TABLE chaos.orders (key text PRIMARY KEY, kind text NOT NULL, producer int NOT NULL, at timestamptz NOT NULL DEFAULT now());
-- what transactional tasks write; no unique constraint, the judge is to see doubles
CREATE TABLE chaos.ledger (job_id bigint NOT NULL, key text NOT NULL, at timestamptz NOT NULL DEFAULT now());
-- what the others write, in transactions of their own
CREATE TABLE chaos.effects (job_id bigint NOT NULL, attempt int NOT NULL, key text NOT NULL, pid int NOT NULL, at timestamptz NOT NULL DEFAULT now());
-- who held a lock, and when; by the machine's clock, here and below: the server's steps
CREATE TABLE chaos.holds (lock text NOT NULL, job_id bigint NOT NULL, began timestamptz NOT NULL, ended timestamptz NOT NULL);
-- who was where no more than so many may be at the same time
CREATE TABLE chaos.stays (place text NOT NULL, most int NOT NULL, job_id bigint NOT NULL, began timestamptz NOT NULL, ended timestamptz NOT NULL);
-- which due times ran
CREATE TABLE chaos.ticks (due timestamptz NOT NULL, job_id bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
-- what a step has done, in the transaction of its record
CREATE TABLE chaos.stepped (job_id bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
-- workflows and batches by their names, and so many parts of each side by side
CREATE TABLE chaos.flows (flow text PRIMARY KEY, kind text NOT NULL, size int NOT NULL);
-- what their parts have done, "exact" in the transaction of their end; numbers are in the order of commits that follow each other
CREATE TABLE chaos.parts (
    flow text NOT NULL, part text NOT NULL, job_id bigint NOT NULL, exact boolean NOT NULL, number bigserial, at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON chaos.ledger (job_id);
CREATE INDEX ON chaos.effects (job_id)
