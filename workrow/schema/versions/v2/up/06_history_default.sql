-- Empty unless nobody made the day's partition: a finish must never fail for want of one.
CREATE TABLE workrow.history_default PARTITION OF workrow.history DEFAULT
