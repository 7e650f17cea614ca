"""In a child process of a worker: Django, as in any process of the project."""

from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.apps import apps
from django.db import close_old_connections, reset_queries


@contextmanager
def around() -> Iterator[None]:
    """Around a call: Django is set up, and its connections are looked after as between requests."""
    if not apps.ready:
        django.setup()
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
        reset_queries()
