"""What workers say of themselves, and what they do when they are told."""

import re
import time
from typing import Any
from uuid import uuid4

from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.journal import notes
from tests.celery.conformance.looking import until
from tests.celery.conformance.tasks import add, app, sleep
from tests.celery.conformance.workers import worker

ONE = "one@truth"


def shape(value: Any) -> Any:
    """Types in place of values; of lists the first item."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in sorted(value.items())}
    return [shape(each) for each in value[:1]] if isinstance(value, list) else type(value).__name__


@experiment("inspect/active-reserved-scheduled", alone=True, seconds=8)
def at_work() -> Any:
    with worker():
        for each in [sleep.delay(0.3, number) for number in range(2)]:
            each.get(timeout=20)  # both processes have imported what they need, however busy the machine
        calls = [sleep.delay(2.5, number) for number in range(4)]
        calls.append(add.apply_async((1,), {"y": 1}, countdown=4))
        until(lambda: sum(entry["task"] == "sleep" for entry in notes(kind="start")) >= 4)
        inspect = app.control.inspect(timeout=0.7)
        time.sleep(0.4)
        reserved, active, scheduled = inspect.reserved()[ONE], inspect.active()[ONE], inspect.scheduled()[ONE]
        seen = {
            "active": shape(active),
            "reserved": shape(reserved),
            "scheduled": shape(scheduled),
            "counts": [len(active), len(reserved), len(scheduled)],
            "args_in_active": min((each["args"] for each in active), default=None),
            "kwargs_in_scheduled": scheduled[0]["request"]["kwargs"],
            "priority_in_scheduled": scheduled[0]["priority"],
            "delivery_info": active[0]["delivery_info"],
            "eta_like": re.sub(r"\d", "9", scheduled[0]["eta"]),
        }
        for each in calls:
            each.get(timeout=10)
        return seen


@experiment("inspect/others", alone=True, seconds=20)
def commands() -> Any:
    with worker():
        control, inspect = app.control, app.control.inspect(timeout=1.5)
        stats = inspect.stats()[ONE]
        told = {"reply": True, "timeout": 1}
        return {
            "control.ping": control.ping(timeout=1),
            "inspect.ping": inspect.ping(),
            "active_when_idle": inspect.active(),
            "scheduled_when_idle": inspect.scheduled(),
            "registered_has_builtin": [name for name in inspect.registered()[ONE] if name.startswith("celery.")],
            "registered_limited": [
                name for name in inspect.registered("rate_limit")[ONE] if name.startswith("limited")
            ],
            "stats_keys": sorted(stats),
            "pool_keys": sorted(stats["pool"]),
            "prefetch_count": stats["prefetch_count"],
            "active_queues": shape(inspect.active_queues()[ONE]),
            "query_unknown": inspect.query_task(str(uuid4())),
            "revoked_type": type(inspect.revoked()[ONE]).__name__,
            "conf_type": type(inspect.conf()[ONE]).__name__,
            "clock": shape(inspect.clock()),
            "unknown_destination": control.inspect(["no@where"], timeout=0.7).active(),
            "remote_rate_limit": control.rate_limit("limited", "10/m", **told),
            "remote_unknown_task": control.rate_limit("none", "10/m", **told),
            "time_limit": control.time_limit("sleep", soft=60, hard=120, **told),
            "pool_grow": control.pool_grow(1, **told),
            "pool_shrink": control.pool_shrink(1, **told),
            "add_consumer": control.add_consumer("extra", **told),
            "cancel_consumer": control.cancel_consumer("extra", **told),
            "unknown_command": control.broadcast("no_such_command", **told),
            "purge": control.purge(),
        }


@experiment("inspect/no-worker", alone=True)
def nobody_there() -> Any:
    return {
        "active": app.control.inspect(timeout=0.7).active(),
        "ping": app.control.ping(timeout=0.7),
        "inspect.ping": app.control.inspect(timeout=0.7).ping(),
        "revoke_returns": app.control.revoke(str(uuid4())),
    }
