DROP FUNCTION
    workrow.prune_limits_v1,
    workrow.reset_limit_v1,
    workrow.set_limit_v1,
    workrow.declare_limit_v1,
    workrow.call_limit_v1,
    workrow.claim_limited_v1,
    workrow.settle_lines_v1,
    workrow.take_jobs_v1,
    workrow.choose_jobs_v1,
    workrow.call_lines_v1,
    workrow.arrive_lines_v1,
    workrow.wake_lines_v1,
    workrow.limit_rooms_v1
