"""Databases that Django has migrated, and the process in which tests run."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import new_database
from tests.django.process import PYTHON, ROOT, Process, environment


@pytest.fixture(scope="session")
def django_template(cluster_url: str) -> Iterator[str]:
    """The name of a database that ``manage.py migrate`` has made; not to be written to."""
    if subprocess.run([PYTHON, "-c", "import django"], capture_output=True).returncode:
        pytest.skip(f"{PYTHON} has no Django: pip install django")
    with new_database(cluster_url) as url:
        command = [PYTHON, "tests/django/manage.py", "migrate", "-v0"]
        subprocess.run(command, cwd=ROOT, env=environment(url), check=True)
        yield url.partition("?")[0].rpartition("/")[2]


@pytest.fixture
def django_url(cluster_url: str, django_template: str) -> Iterator[str]:
    """A copy of it: this test's own."""
    with new_database(cluster_url, django_template) as url:
        yield url


@pytest.fixture(scope="session")
def django(cluster_url: str) -> Iterator[Process]:
    """The process in which tests run that are `tests.django.process.in_django`."""
    process = Process(cluster_url)
    yield process
    process.close()
