-- In a transaction that is to be prepared, which NOTIFY forbids: workers find its jobs when they look, every 2 s at most.
SELECT set_config('workrow.notify', 'off', true)
