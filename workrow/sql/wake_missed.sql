-- Wake the callers whose rows were held when their calls ended.
SELECT workrow.wake_missed_v1() AS woken
