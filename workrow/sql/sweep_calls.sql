-- End the calls whose child was deleted before it ended: neither live nor in history.
SELECT workrow.sweep_calls_v1() AS done
