"""What a call needs of the task that it is made of."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from workrow.arguments.codec import Codec
from workrow.arguments.payload import Payload
from workrow.declare.limits import Line
from workrow.declare.options import Options
from workrow.enqueue.insert import Arguments, JobManager
from workrow.job import Results


class Producer(Protocol):
    """What a bound task needs of its app."""

    job_manager: JobManager

    @property
    def results(self) -> Results:
        """What the handles of its jobs ask."""


class Target(Protocol):
    """What a call needs of its task."""

    name: str
    line: Line | None
    payload: Payload

    @property
    def producer(self) -> Producer:
        """The app that the task was registered on."""

    @property
    def signature(self) -> inspect.Signature:
        """The arguments that a job carries."""

    @property
    def hidden(self) -> frozenset[str]:
        """The names of the arguments that are not to be shown."""

    @property
    def max_payload(self) -> int:
        """Bytes of JSON that the arguments of one job may take."""

    def enqueue_hooks(self) -> Sequence[Any]:
        """The hooks around every enqueue, outermost first."""

    def check_rule(self, options: Options) -> None:
        """Raise OptionError if the rule of these options names no argument of this task."""

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, json_too: bool = False) -> Arguments:
        """The arguments by name, as they are stored."""

    def bind_rows(self, rows: Iterable[Mapping[str, Any]], *, json_too: bool = False) -> Iterator[Arguments]:
        """The same of many jobs."""

    def load_result(self, stored: Any, codec: Codec | None = None) -> Any:
        """What the task returned, from the value of the JSON that is stored of it."""
