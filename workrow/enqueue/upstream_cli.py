"""procrastinate's command: its ``defer`` prints no hidden arguments, and its ``worker`` can be stopped as it starts."""

import sys
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

from workrow.arguments.secrets import EVERYTHING, NOTHING, masked
from workrow.enqueue.stops import end_at_signals

COMMANDS = ("worker", "defer", "schema", "healthchecks", "shell")


class _Arguments(dict[str, Any]):
    """Arguments that are listed as they may be shown, and passed as they are."""

    hidden: Collection[str] = NOTHING

    def items(self) -> Any:
        return masked(dict(self), self.hidden).items()


def install() -> None:
    """Have the CLI that runs in this process, if one does, print no hidden arguments and end in order.

    ``defer`` reads the arguments, finds the task, and then prints ``items()`` of the arguments.
    """
    cli: Any = sys.modules.get("procrastinate.cli")
    if cli is None or hasattr(cli, "_workrow"):
        return
    cli._workrow = True
    if _starts_worker():
        end_at_signals()
    load, configure = cli.load_json_args, cli.configure_task
    read: list[_Arguments] = []

    def load_json_args(*args: Any, **kwargs: Any) -> _Arguments:
        read[:] = [_Arguments(load(*args, **kwargs))]
        return read[0]

    def configure_task(app: Any, task_name: str, *args: Any, **kwargs: Any) -> Any:
        deferrer = configure(app, task_name, *args, **kwargs)
        for each in read:
            each.hidden = getattr(app.tasks[task_name], "hidden", NOTHING) if task_name in app.tasks else {EVERYTHING}
        return deferrer

    cli.load_json_args, cli.configure_task = load_json_args, configure_task


def _starts_worker() -> bool:
    program = Path(sys.argv[0])  # …/bin/procrastinate, or …/procrastinate/__main__.py
    command = next((word for word in sys.argv[1:] if word in COMMANDS), None)
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and command == "worker" and "procrastinate" in (program.name, program.parent.name)
