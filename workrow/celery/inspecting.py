"""``app.control.inspect()``: what workers say of themselves."""

import fnmatch
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from workrow.celery.exceptions import DuplicateNodenameWarning
from workrow.celery.mailbox import broadcast


def by_name(replies: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One dict of what several workers have replied; two of one name are warned of."""
    found: dict[str, Any] = {}
    for reply in replies:
        for name, said in reply.items():
            if name in found:
                told = f"two workers are called {name}, and one reply hides the other: name them with -n"
                warnings.warn(DuplicateNodenameWarning(told), stacklevel=4)
            found[name] = said
    return found


class Inspect:
    """Asks workers; each method returns what they say by their names, or None where none replies.

    Args:
        destination: names of workers, or one: then what that one says is returned by itself; None: all.
        timeout: seconds for which to wait at most; it ends when all living workers have replied.
        callback: called with each reply as it comes.
        connection: not used.
        app: the app.
        limit: so many replies are enough.
        pattern: only workers whose names match it.
        matcher: how: "glob" (what it is by default) or "pcre".
    """

    def __init__(
        self,
        destination: Sequence[str] | str | None = None,
        timeout: float = 1.0,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        connection: Any = None,
        app: Any = None,
        limit: int | None = None,
        pattern: str | None = None,
        matcher: str | None = None,
    ) -> None:
        self.app = app
        self.destination = destination
        self.timeout = timeout
        self.callback = callback
        self.connection = connection
        self.limit = limit
        self.pattern = pattern
        self.matcher = matcher

    def _request(self, command: str, **arguments: Any) -> Any:
        only = self.destination if isinstance(self.destination, str) else None
        replies = broadcast(
            self.app,
            command,
            arguments,
            destination=self.destination if only is None else [only],
            reply=True,
            timeout=self.timeout,
            limit=self.limit,
            callback=self.callback,
            pattern=self.pattern,
            matcher=self.matcher,
        )
        if not replies:
            return None
        found = by_name(replies)
        if only is not None:
            return found.get(only)
        return found

    def active(self, safe: bool | None = None) -> Any:
        """Calls that run; with ``safe`` their arguments as text."""
        return self._request("active", safe=safe)

    def scheduled(self, safe: bool | None = None) -> Any:
        """Calls that wait in the queues of each worker for their time, the next first."""
        return self._request("scheduled")

    def reserved(self, safe: bool | None = None) -> Any:
        """Calls that each worker would start next; they are nobody's until they start."""
        return self._request("reserved")

    def query_task(self, *ids: Any) -> Any:
        """What becomes of these calls: by their ids, where each is ("active", "reserved" or "scheduled") and what."""
        wanted = ids[0] if len(ids) == 1 and isinstance(ids[0], list | tuple) else ids
        return self._request("query_task", ids=[*wanted])

    def stats(self) -> Any:
        """Numbers: of the calls by their tasks, of the pool, of the process."""
        return self._request("stats")

    def revoked(self) -> Any:
        """Ids that are revoked."""
        return self._request("revoked")

    def registered(self, *taskinfoitems: str) -> Any:
        """Names of tasks, with these attributes where a task has them; by default ``rate_limit``."""
        return self._request("registered", taskinfoitems=[*taskinfoitems])

    registered_tasks = registered

    def ping(self, destination: Sequence[str] | str | None = None) -> Any:
        """Who lives."""
        if destination:
            self.destination = destination
        return self._request("ping")

    def active_queues(self) -> Any:
        """Queues that are served."""
        return self._request("active_queues")

    def conf(self, with_defaults: bool = False) -> Any:
        """Settings, without passwords."""
        return self._request("conf", with_defaults=with_defaults)

    def report(self) -> Any:
        """Versions and settings, as text."""
        return self._request("report")

    def clock(self) -> Any:
        """The number of the command: Celery's logical clock counts messages."""
        return self._request("clock")


def matches(name: str, pattern: str | None, matcher: str | None) -> bool:
    """Whether the name of a worker does."""
    if pattern is None:
        return True
    return bool(re.match(pattern, name)) if matcher == "pcre" else fnmatch.fnmatchcase(name, pattern)
