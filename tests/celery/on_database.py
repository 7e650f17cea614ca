"""An app of the door on a test's database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from workrow.celery import Celery, current


@contextmanager
def on(app: Celery, database_url: str) -> Iterator[Celery]:
    """The app of a module, in this process and in those that it starts."""
    before = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = database_url
    app.store = type(app.store)(app.database_url)
    app.__dict__.pop("backend", None)
    current.set_default(app)
    try:
        yield app
    finally:
        app.close()
        app.__dict__.pop("backend", None)
        if before is None:
            del os.environ["DATABASE_URL"]
        else:
            os.environ["DATABASE_URL"] = before
