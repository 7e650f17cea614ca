"""Which queue a call goes to."""

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from workrow.celery.exceptions import ImproperlyConfigured, QueueNotFound
from workrow.celery.named import named
from workrow.celery.queues import Binding, Exchange, declared, queue_name
from workrow.celery.queues import Queue as Queue
from workrow.errors import brief

Route = Callable[[str, Any, Any, dict[str, Any], Any], Any]
"""Name, arguments, keyword arguments and options of a call, and its task: options, the name of a queue, or None."""


class Router:
    """Finds the queues of calls.

    Args:
        conf: the settings; a later value of theirs is seen.
    """

    def __init__(self, conf: Any) -> None:
        self._conf = conf
        self._routes_of: Any = None
        self._routes: list[Route] = []
        self._queues_of: Any = ()
        self._queues: dict[str, list[Binding]] = {}

    def route(
        self, options: dict[str, Any], name: str, args: Any = (), kwargs: Any = None, task: Any = None
    ) -> dict[str, Any]:
        """The options of a call: its own, then those of the first route in ``task_routes`` that has some for it.

        Args:
            options: of the call and its task; what is None is as if it were not said.
            name: of the task.
            args, kwargs: of the call; for routes that are functions.
            task: for these too; None: it is not known here.

        Returns:
            With ``queue``: always a name.

        Raises:
            QueueNotFound: the queue is not in ``task_queues``, and ``task_create_missing_queues`` is off; or no queue
                is bound to the exchange with this routing key.
            ImproperlyConfigured: a route or queue is none, or several queues would get the call.
        """
        own = {key: value for key, value in options.items() if value is not None}
        found = self._found(name, args, {} if kwargs is None else kwargs, own, task)
        merged = {**found, **own}
        merged["queue"] = self._queue(merged.get("queue"), merged.get("exchange"), merged.get("routing_key"))
        return merged

    def queues(self, select: Iterable[str] | None = None, exclude: Iterable[str] = ()) -> list[str]:
        """Those that a worker serves.

        Args:
            select: only these; None: all of ``task_queues``, or if there are none the default one.
            exclude: not these.

        Raises:
            ImproperlyConfigured: one of them is not in ``task_queues``, and ``task_create_missing_queues`` is off; or
                none is left.
        """
        known = self._known_queues()
        names = list(known) if select is None else list(select)
        missing = [name for name in names if name not in known]
        if missing and not self._conf.task_create_missing_queues:
            raise ImproperlyConfigured(
                f"queue {brief(missing[0])}: not in task_queues ({', '.join(known)}): add it there, or set "
                "task_create_missing_queues"
            )
        left = [name for name in names if name not in set(exclude)]
        if not left:
            raise ImproperlyConfigured(f"no queue is left to serve: all of {', '.join(names)} are excluded")
        return left

    # ---------------------------------------------------------------- the queue

    def _queue(self, queue: Any, exchange: Any, routing_key: Any) -> str:
        named_queue = queue_name(queue)
        name = named_queue or self._conf.task_default_queue
        if routing_key:
            bound = self._bound(name, exchange if isinstance(exchange, str | None) else exchange.name, routing_key)
            if len(bound) == 1:
                return bound[0]
            if named_queue is None and (bound or exchange):
                _refuse(exchange, routing_key, bound)
        if (
            not self._conf.task_create_missing_queues
            and not hasattr(queue, "name")
            and name not in self._known_queues()
        ):
            raise QueueNotFound(f"Queue {name!r} missing from task_queues")
        return str(name)

    def _bound(self, name: str, exchange: str | None, routing_key: str) -> list[str]:
        """The queues that get a call through its exchange, or else through that of its queue if it is no direct one."""
        known = self._known_queues()
        if not exchange:
            others = (each.exchange for each in known.get(name, ()) if each.exchange.type != "direct")
            exchange = next((each.name for each in others), "")
        return [
            each
            for each, bindings in known.items()
            if any(binding.takes(exchange, routing_key) for binding in bindings)
        ]

    def binding(self, name: str) -> Binding:
        """What a queue is bound to; one that is not in ``task_queues``: to an exchange of its name, as in Celery."""
        bindings = self._known_queues().get(name)
        return bindings[0] if bindings else Binding(Exchange(name, self._conf.task_default_exchange_type), name)

    def _known_queues(self) -> dict[str, list[Binding]]:
        conf = self._conf
        told = (conf.task_queues, conf.task_default_queue, conf.task_default_exchange, conf.task_default_routing_key)
        if told != self._queues_of:
            default = Binding(Exchange(told[2], conf.task_default_exchange_type), told[3])
            self._queues = declared(told[0] or [told[1]], default)
            self._queues_of = told
        return self._queues

    # ---------------------------------------------------------------- the routes

    def _found(self, name: str, args: Any, kwargs: Any, options: dict[str, Any], task: Any) -> dict[str, Any]:
        told = self._conf.task_routes
        if told is not self._routes_of:
            self._routes = list(_routes(told))
            self._routes_of = told
        for route in self._routes:
            found = route(name, args, kwargs, options, task)
            if found is not None:
                return _options(found, route)
        return {}


def _refuse(exchange: Any, routing_key: str, bound: list[str]) -> None:
    told = f"exchange={brief(exchange)}, routing_key={brief(routing_key)}"
    if bound:
        raise ImproperlyConfigured(
            f"{told}: {', '.join(bound)} are bound to that, and a call here goes to one queue: name it, queue="
        )
    raise QueueNotFound(f"{told}: no queue in task_queues is bound to that: name one, queue=")


def _options(found: Any, route: Any) -> dict[str, Any]:
    """What a route has said, as options."""
    if isinstance(found, str) or hasattr(found, "name"):
        return {"queue": found} if found else {}
    if isinstance(found, Mapping):
        return {key: value for key, value in found.items() if value is not None}
    raise ImproperlyConfigured(
        f"task_routes: {brief(found)}, of {brief(route)}: the name of a queue, or a dict of options"
    )


def _routes(told: Any) -> Iterator[Route]:
    """The routes of ``task_routes``: one, or a list of them."""
    if told is None:
        return
    if not isinstance(told, (list, tuple)):
        yield _route(told)
        return
    pairs = []
    for each in told:
        if _is_pair(each):
            pairs.append(each)
            continue
        if pairs:
            yield Patterns(pairs)
            pairs = []
        yield _route(each)
    if pairs:
        yield Patterns(pairs)


def _is_pair(told: Any) -> bool:
    return (
        isinstance(told, tuple)
        and len(told) == 2
        and isinstance(told[0], (str, re.Pattern))
        and isinstance(told[1], (str, Mapping))
    )


def _route(told: Any) -> Route:
    if isinstance(told, str):
        told = named(told)
    if isinstance(told, Mapping):
        return Patterns(told.items())
    if isinstance(told, (list, tuple)):
        return Patterns(told)
    if isinstance(told, type):
        told = told()
    if hasattr(told, "route_for_task"):
        ask = told.route_for_task
        return lambda name, args, kwargs, options, task: ask(name, args, kwargs)
    if callable(told):
        return lambda name, args, kwargs, options, task: told(name, args, kwargs, options, task=task)
    raise ImproperlyConfigured(
        f"task_routes: {brief(told)}: a dict of names and queues, a list of pairs, a function, an object with "
        "route_for_task, or the path of one"
    )


class Patterns:
    """Routes by the names of tasks: exact names first, then patterns with ``*`` and regular expressions in their order.

    Args:
        pairs: of a name or pattern, and the name of a queue or a dict of options.
    """

    def __init__(self, pairs: Iterable[Any]) -> None:
        self._exact: dict[str, dict[str, Any]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Any]]] = []
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise ImproperlyConfigured(f"task_routes: {brief(pair)}: a pair of a name or pattern, and its queue")
            pattern, told = pair
            options = _options(told, pattern)
            if isinstance(pattern, re.Pattern):
                self._patterns.append((pattern, options))
            elif not isinstance(pattern, str):
                raise ImproperlyConfigured(f"task_routes: {brief(pattern)}: a name, or a pattern")
            elif "*" in pattern:
                self._patterns.append((re.compile(fnmatch.translate(pattern)), options))
            else:
                self._exact[pattern] = options

    def __call__(self, name: str, args: Any, kwargs: Any, options: dict[str, Any], task: Any) -> dict[str, Any] | None:
        found = self._exact.get(name)
        if found is not None:
            return found
        return next((found for pattern, found in self._patterns if pattern.match(name)), None)
