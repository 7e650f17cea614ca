"""What a chain and a group have in common: a list of signatures."""

from typing import Any

from workrow.celery.canvas.signature import Signature
from workrow.celery.current import Host


class Parts(Signature):
    """A canvas made of other signatures."""

    @property
    def tasks(self) -> list[Any]:
        tasks: list[Any] = self.kwargs["tasks"]
        return tasks

    @tasks.setter
    def tasks(self, value: list[Any]) -> None:
        self.kwargs["tasks"] = value

    @property
    def app(self) -> Host:
        return self._app or (self.tasks[0].app if self.tasks else super().app)


def in_short(name: str, text: str) -> str:
    """A text with the module of a task named once, as Celery shows shapes."""
    module, dot, _ = name.rpartition(".")
    if not dot:
        return text
    before, found, after = text.partition(module + dot)
    return before + found + after.replace(found, "") if found else text
