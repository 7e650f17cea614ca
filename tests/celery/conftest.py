"""Each test begins without an app."""

from collections.abc import Iterator

import pytest

from workrow.celery import current


@pytest.fixture(autouse=True)
def no_app() -> Iterator[None]:
    current._default.clear()
    yield
    current._default.clear()
