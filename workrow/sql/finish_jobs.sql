-- Move jobs that ended to history, fenced: only what still runs, is still ours, and by the same claim. Times are the
-- database's: the claim's plus what the worker's monotonic clock measured since. What comes back was moved; what does not
-- was no longer ours. What goes to quarantine has ended no attempt. The CASE keeps the comparison of tokens a hashed subplan: 6 us a job, as without it, and 40 as a join.
-- IS NOT DISTINCT FROM keeps away from the index on worker_id, where the entries of all that this worker ever ran lie dead.
{ended_outcomes}

{kept_outcomes}
-- once, before the first row
WHERE (SELECT true FROM told)
RETURNING id
