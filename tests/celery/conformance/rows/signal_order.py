"""Signals and hooks: in which order, and with which arguments."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.celery.conformance import lab
from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.journal import notes
from tests.celery.conformance.looking import outcome
from tests.celery.conformance.tasks import add, app, hooked


def order(what: str) -> list[str]:
    result = hooked.delay(what)
    outcome(lambda: result.get(timeout=2.5))
    time.sleep(0.3)
    heard = notes(kind="signal", id=result.id)
    return [entry["name"] + (" (caller)" if entry.get("where") == "caller" else "") for entry in heard]


@experiment("signals/order", seconds=4)
def orders() -> Any:
    return {"success": order("ok"), "failure": order("fail"), "retry": order("retry"), "ignore": order("ignore")}


@experiment("signals/arguments")
def arguments() -> Any:
    for what in ("ok", "fail", "retry"):
        order(what)
    app.send_task("no.such.task")
    time.sleep(0.5)
    return {entry["name"]: entry["keys"] for entry in notes(kind="signal") if "keys" in entry}


@experiment("signals/revoked")
def of_what_never_ran() -> Any:
    revoked = add.apply_async((1, 1), countdown=1)
    time.sleep(0.3)
    revoked.revoke()
    expired = add.apply_async((1, 1), expires=datetime.now(UTC) - timedelta(hours=1))
    time.sleep(2)
    return [lab.signals_of(result.id) for result in (revoked, expired)]
