DROP FUNCTION
workrow.hold_claim_v1(bigint, bigint, integer, boolean),
workrow.wake_job_v1(bigint, integer),
workrow.wake_missed_v1(),
workrow.suspend_job_v1(bigint, bigint, integer, jsonb, jsonb, boolean),
workrow.signal_v1(bigint, text, jsonb),
workrow.end_call_v1(),
workrow.sweep_calls_v1(),
workrow.prune_steps_v1(interval)
