-- What limits allow. The rows with source 'declared' come from the code, those with 'set' from workrow.set_limit_v1 and
-- go before them, column by column; key '' is for all keys, and a row of one key goes before it.
CREATE TABLE workrow.limit_rules (
    name text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL DEFAULT '',
    source text NOT NULL CHECK (source IN ('declared', 'set')),
    max_running integer CHECK (max_running >= 0),
    rate_count integer CHECK (rate_count > 0),
    rate_seconds double precision CHECK (rate_seconds > 0),
    rate_burst integer CHECK (rate_burst > 0),
    weight double precision CHECK (weight > 0),
    paused boolean,
    actor text,
    reason text,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, key, source)
)
