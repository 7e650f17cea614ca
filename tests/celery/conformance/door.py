"""The door, on databases of an embedded PostgreSQL or any other."""

import contextlib
import os
from collections.abc import Iterator

from tests.conftest import SERVER, new_database
from workrow import embedded, schema


@contextlib.contextmanager
def lanes(number: int, server: str | None = None) -> Iterator[list[str]]:
    """URLs of new databases with our schema, on ``server``, WORKROW_TEST_DATABASE_URL or the suite's own."""
    cluster = server or os.environ.get("WORKROW_TEST_DATABASE_URL") or embedded.ensure(SERVER, "postgres")
    with contextlib.ExitStack() as databases:
        urls = [databases.enter_context(new_database(cluster)) for _ in range(number)]
        for url in urls:
            schema.upgrade(url)
        yield urls
