"""A process that Django has set up, in which the tests of this folder run: the rest of the suite sees none of it.

``DJANGO_PYTHON`` names another interpreter, with another Django: ``make test-django`` has those.
"""

import asyncio
import functools
import importlib
import inspect
import json
import os
import reprlib
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("DJANGO_PYTHON", sys.executable)
IN_DJANGO = "TESTS_IN_DJANGO" in os.environ


def environment(url: str, **settings: Any) -> dict[str, str]:
    """Of a process of the project, with some settings changed."""
    own = {"DJANGO_SETTINGS_MODULE": "tests.django.settings", "DATABASE_URL": url, "SETTINGS": json.dumps(settings)}
    return {**os.environ, **own, "PYTHONPATH": str(ROOT)}


def in_django(test: Callable[..., Any]) -> Callable[..., Any]:
    """A test that runs in the process of Django, on a database of its own; its arguments are JSON."""
    if IN_DJANGO:
        return test

    @functools.wraps(test)
    def run(django: "Process", django_url: str, **arguments: Any) -> None:
        django.run(test.__module__, test.__name__, django_url, arguments)

    parameters = inspect.signature(test).parameters.values()
    fixtures = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ("django", "django_url")]
    run.__signature__ = inspect.Signature([*parameters, *fixtures])  # type: ignore[attr-defined]
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


class Process:
    """The process, as the suite sees it."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [PYTHON, "-W", "error", "-m", "tests.django.process"],
            cwd=ROOT,
            env={**environment(url), "TESTS_IN_DJANGO": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, name: str, url: str, arguments: dict[str, Any]) -> None:
        """Run a test there; what it raises is raised here as a failure, with its traceback."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([module, name, url, arguments]), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline() or '["failed", "the process has died"]')
        if answer[0] == "skipped":
            pytest.skip(answer[1])
        if answer[0] == "failed":
            pytest.fail(answer[1], pytrace=False)

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def serve() -> None:
    """Run the tests that are asked for, one after the other."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import django
    from django.test.utils import setup_test_environment

    django.setup()
    setup_test_environment()
    for line in sys.stdin:
        module, name, url, arguments = json.loads(line)
        answer = ["passed", ""]
        try:
            _run(getattr(importlib.import_module(module), name), url, arguments)
        except pytest.skip.Exception as skipped:
            answer = ["skipped", str(skipped)]
        except BaseException as error:
            answer = ["failed", _told(error)]
        print(json.dumps(answer), file=answers, flush=True)


def _told(error: BaseException) -> str:
    """Its traceback, and the variables of where it was raised."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    variables = (f"    {name} = {reprlib.repr(value)}" for name, value in frame.f_locals.items())
    return "\n".join(["".join(traceback.format_exception(error)), *variables])


def _run(test: Callable[..., Any], url: str, arguments: dict[str, Any]) -> None:
    from asgiref.sync import async_to_sync, sync_to_async
    from django.db import connections

    from tests.django.settings import parameters
    from workrow.django import app

    os.environ["DATABASE_URL"] = url  # for the children of a worker
    connections.settings["default"].update(parameters(url))
    try:
        (async_to_sync(test) if inspect.iscoroutinefunction(test) else test)(**arguments)
    finally:
        app.close()
        connections.close_all()
        asyncio.run(sync_to_async(connections.close_all)())


if __name__ == "__main__":
    serve()
