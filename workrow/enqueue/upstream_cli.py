"""``procrastinate defer``, which prints the arguments that it is given: not the hidden ones."""

import sys
from typing import Any

from workrow.arguments.secrets import NOTHING, masked


class _Arguments(dict[str, Any]):
    """Arguments that are listed as they may be shown, and passed as they are."""

    hidden = NOTHING

    def items(self) -> Any:
        return masked(dict(self), self.hidden).items()


def install() -> None:
    """Have the CLI that runs in this process, if one does, print no hidden arguments.

    Its command reads the arguments, finds the task, and then prints ``items()`` of the arguments.
    """
    cli: Any = sys.modules.get("procrastinate.cli")
    if cli is None or hasattr(cli, "_workrow"):
        return
    cli._workrow = True
    load, configure = cli.load_json_args, cli.configure_task
    read: list[_Arguments] = []

    def load_json_args(*args: Any, **kwargs: Any) -> _Arguments:
        read[:] = [_Arguments(load(*args, **kwargs))]
        return read[0]

    def configure_task(app: Any, task_name: str, *args: Any, **kwargs: Any) -> Any:
        deferrer = configure(app, task_name, *args, **kwargs)
        for each in read:
            each.hidden = getattr(app.tasks.get(task_name), "hidden", NOTHING)
        return deferrer

    cli.load_json_args, cli.configure_task = load_json_args, configure_task
