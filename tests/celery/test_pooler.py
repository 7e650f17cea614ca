"""A worker of the door behind a real PgBouncer in transaction mode, which must be installed."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.celery import worker_app
from tests.celery.test_control import worker
from tests.chaos.bouncer import Bouncer, Missing
from tests.chaos.cluster import Cluster
from workrow import schema
from workrow.celery import Celery, chord, current


@pytest.fixture
def pooled() -> Iterator[str]:
    """The URL of a database behind a pooler."""
    with contextlib.ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="workrow-pooler-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        cluster = Cluster(directory, directory, standby=False)
        try:
            bouncer = Bouncer(directory, cluster.primary.port, directory / "kept.log")
        except Missing as missing:
            pytest.skip(str(missing))
        stack.callback(cluster.destroy)
        cluster.start()
        schema.upgrade(cluster.url)
        stack.callback(bouncer.stop)
        bouncer.start()
        yield f"postgresql://postgres@127.0.0.1:{bouncer.port}/chaos"


def test_a_worker_behind_a_pooler(pooled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hears of nothing, and looks for commands every half second."""
    monkeypatch.setenv("DATABASE_URL", pooled)
    app: Celery = worker_app.app
    add: Any = worker_app.add
    app.store = type(app.store)(app.database_url)
    app.__dict__.pop("backend", None)
    current.set_default(app)
    with worker(app, "one@pool", "-P", "threads"):
        assert app.control.ping(timeout=30) == [{"one@pool": {"ok": "pong"}}]
        parts: Any = [add.s(n, n) for n in range(5)]
        assert chord(parts, worker_app.xsum.s()).apply_async().get(timeout=30) == 20
        waits = add.apply_async((1, 2), countdown=3600)
        app.control.revoke(waits.id)
        assert waits.state == "REVOKED"
    app.close()
    app.__dict__.pop("backend", None)
