"""A worker of the door behind a real PgBouncer in transaction mode, which must be installed."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.celery import worker_app
from tests.celery.on_database import on
from tests.celery.test_control import worker
from tests.chaos.bouncer import Missing, bounced
from workrow.celery import chord


@pytest.fixture
def pooled() -> Iterator[str]:
    """The URL of a database behind a pooler."""
    try:
        with bounced() as (_, url):
            yield url
    except Missing as missing:
        pytest.skip(str(missing))


def test_a_worker_behind_a_pooler(pooled: str) -> None:
    """It hears of nothing, and looks for commands every half second."""
    add: Any = worker_app.add
    with on(worker_app.app, pooled) as app, worker(app, "one@pool", "-P", "threads"):
        assert app.control.ping(timeout=30) == [{"one@pool": {"ok": "pong"}}]
        parts: Any = [add.s(n, n) for n in range(5)]
        assert chord(parts, worker_app.xsum.s()).apply_async().get(timeout=30) == 20
        waits = add.apply_async((1, 2), countdown=3600)
        app.control.revoke(waits.id)
        assert waits.state == "REVOKED"
