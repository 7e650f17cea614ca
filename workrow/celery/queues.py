"""Queues of ``task_queues``: names, and what they are bound to, for calls with an exchange and a routing key."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workrow.celery.exceptions import ImproperlyConfigured
from workrow.errors import brief


@dataclass(frozen=True)
class Exchange:
    """What calls with an exchange and a routing key go through.

    Args:
        name: its name.
        type: ``direct``: to the queues bound with this routing key. ``topic``: with a pattern of it, in which ``*`` is
            a word and ``#`` any number of words. ``fanout``: to all that are bound to it.
    """

    name: str = ""
    type: str = "direct"


@dataclass(frozen=True)
class Queue:
    """A queue for ``task_queues``; kombu's may be given as well.

    Args:
        name: its name.
        exchange: what it is bound to; None: ``task_default_exchange``.
        routing_key: what it is bound with; None: ``task_default_routing_key``.
    """

    name: str
    exchange: Exchange | str | None = None
    routing_key: str | None = None


@dataclass(frozen=True)
class Binding:
    """A queue gets the calls with this exchange and a routing key that fits."""

    exchange: Exchange
    key: str

    def takes(self, exchange: str, routing_key: str) -> bool:
        if exchange != self.exchange.name:
            return False
        match self.exchange.type:
            case "fanout":
                return True
            case "topic":
                return _topic(self.key).fullmatch(f".{routing_key}") is not None
            case _:
                return routing_key == self.key


def declared(told: Any, default: Binding) -> dict[str, list[Binding]]:
    """The queues of ``task_queues``, with their bindings.

    Args:
        told: names, queues (ours or kombu's), or a dict of names and either queues or their options.
        default: of a queue that says nothing.

    Raises:
        ImproperlyConfigured: one is none of these, or kombu's ``Broadcast``.
    """
    if isinstance(told, (str, bytes)) or not isinstance(told, Iterable):
        raise ImproperlyConfigured(f"task_queues={brief(told)}: a list of names or queues, or a dict of them")
    queues: dict[str, list[Binding]] = {}
    for key, queue in told.items() if isinstance(told, Mapping) else ((None, each) for each in told):
        name = _name(key, queue)
        queues[name] = list(_bindings(name, queue, default))
    return queues


def queue_name(queue: Any) -> str | None:
    """The name of a queue, or of a queue that is named.

    Raises:
        ImproperlyConfigured: it is neither.
    """
    name = getattr(queue, "name", queue)
    if name is None or isinstance(name, str):
        return name or None
    raise ImproperlyConfigured(f"queue={brief(queue)}: a queue, or the name of one")


def _name(key: str | None, queue: Any) -> str:
    name = key if key is not None else getattr(queue, "name", queue)
    if type(queue).__name__ == "Broadcast":
        raise ImproperlyConfigured(f"task_queues: {brief(queue)}: a call here goes to one queue, and runs once")
    if not name or not isinstance(name, str) or not (isinstance(queue, (str, Mapping)) or hasattr(queue, "name")):
        raise ImproperlyConfigured(f"task_queues: {brief(queue)}: a name, or a queue that has one")
    return name


def _bindings(name: str, queue: Any, default: Binding) -> Iterator[Binding]:
    if isinstance(queue, str):
        yield default
        return
    if isinstance(queue, Mapping):
        exchange = Exchange(queue.get("exchange") or "", queue.get("exchange_type") or default.exchange.type)
        yield _binding(exchange, queue.get("binding_key") or queue.get("routing_key") or name, default)
        return
    several = getattr(queue, "bindings", None)
    for each in several or [queue]:
        yield _binding(each.exchange, each.routing_key, default)


def _binding(exchange: Any, key: str | None, default: Binding) -> Binding:
    name = exchange if isinstance(exchange, str) else getattr(exchange, "name", "")
    if not name:
        return Binding(default.exchange, key or default.key)
    return Binding(Exchange(name, getattr(exchange, "type", None) or "direct"), key or default.key)


def _topic(pattern: str) -> re.Pattern[str]:
    """A pattern of words for a routing key with a dot before it."""
    words = {"#": r"(?:\.[^.]+)*", "*": r"\.[^.]+"}
    return re.compile("".join(words.get(word, re.escape(f".{word}")) for word in pattern.split(".")))
