"""Which queue a call goes to."""

from typing import Any


class Router:
    """Finds the queues of calls.

    Args:
        conf: the settings.
    """

    def __init__(self, conf: Any) -> None:
        self._conf = conf

    def route(
        self, options: dict[str, Any], name: str, args: Any = (), kwargs: Any = None, task: Any = None
    ) -> dict[str, Any]:
        """The options of a call with its queue."""
        return {**options, "queue": options.get("queue") or self._conf.task_default_queue}

    def queues(self) -> list[str]:
        """Those that a worker serves that is told none."""
        return [self._conf.task_default_queue]
