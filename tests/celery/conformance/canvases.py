"""Shapes, run by the worker of a lane."""

from typing import Any

from tests.celery.conformance import lab
from tests.celery.conformance.journal import notes
from tests.celery.conformance.tasks import app


class Lane:
    """Where shapes are run by workers."""

    app = app

    def rest(self) -> bool:
        return lab.rest()

    def names(self) -> dict[str, str]:
        return {entry["id"]: entry["task"] for entry in notes(kind="start")}

    def runs(self) -> list[dict[str, Any]]:
        return _of(notes(kind="end"), "task", "args", "kwargs", "state")

    def errbacks(self) -> list[dict[str, Any]]:
        return _of(notes(kind="errback"), "errback", "as_task", "args")


def _of(entries: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    return [{key: entry[key] for key in keys} for entry in entries]
