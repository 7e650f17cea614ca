"""Why jobs were not inserted."""

from procrastinate.exceptions import AlreadyEnqueued

from workrow.enqueue.transaction import Params, Rows
from workrow.errors import QueueFull


def cap_params(params: Params) -> Params:
    """The parameters of ``read_queue_cap.sql`` for jobs that were refused."""
    return {
        "queue": params["queue"],
        "more": len(params["args"]) if params["at"] is None and params["delay"] is None else 0,
    }


def refusal(params: Params, cap: Rows) -> Exception:
    """Why jobs were not inserted; ``cap``: what ``read_queue_cap.sql`` says since."""
    if not cap and params["queueing_lock"] is not None:
        return AlreadyEnqueued(
            f"{params['task']}: a job with queueing_lock={params['queueing_lock']!r} is waiting already; "
            "nothing was enqueued"
        )
    found = f"{cap[0][1]} jobs wait, at most {cap[0][0]} may" if cap else "as many jobs wait as may"
    return QueueFull(
        f"{params['task']}: the queue {params['queue']!r} has no room for {len(params['args'])} more: {found}; nothing "
        "was enqueued; try again later, or raise its cap with workrow.set_queue_v1"
    )
