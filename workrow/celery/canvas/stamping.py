"""Stamps: headers that a canvas is marked with, and that each of its calls tells its worker."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from workrow.celery.canvas.links import Linked, listed

Stamps = dict[str, Any]


class StampingVisitor(ABC):
    """Says which stamps the parts of a canvas get, for ``sig.stamp(visitor=…)``.

    Each method but those of an end returns the stamps to add. With ``"stamped_headers"`` among them, only those that
    this lists are stamps, and the others are options of the call. ``headers`` are the stamps so far.
    """

    @abstractmethod
    def on_signature(self, sig: Any, **headers: Any) -> Any:
        """Of a task."""

    def on_group_start(self, group: Any, **headers: Any) -> Any:
        """Of all members of a group."""
        return {}

    def on_group_end(self, group: Any, **headers: Any) -> None:  # noqa: B027 - who wants to hear of it overrides it
        """All members of a group are stamped."""

    def on_chain_start(self, chain: Any, **headers: Any) -> Any:
        """Of all parts of a chain."""
        return {}

    def on_chain_end(self, chain: Any, **headers: Any) -> None:  # noqa: B027 - the same
        """All parts of a chain are stamped."""

    def on_chord_header_start(self, sig: Any, **header: Any) -> Any:
        """Of all members of a chord's header, which becomes a group: those of a group."""
        from workrow.celery.canvas.group import group  # which is made of signatures

        if not isinstance(sig.tasks, group):
            sig.tasks = group(sig.tasks)
        return self.on_group_start(sig.tasks, **header)

    def on_chord_header_end(self, sig: Any, **header: Any) -> None:
        """All members of a chord's header are stamped."""
        self.on_group_end(sig.tasks, **header)

    def on_chord_body(self, sig: Any, **header: Any) -> Any:
        """Of the body of a chord, which gets none without a visitor."""
        return {}

    def on_callback(self, callback: Any, **header: Any) -> Any:
        """Of a link, and of those that come after it."""
        return {}

    def on_errback(self, errback: Any, **header: Any) -> Any:
        """Of an errback, and of those that come after it."""
        return {}


def told(stamps: Stamps) -> Stamps:
    """With the list of their names."""
    return stamps if "stamped_headers" in stamps else {**stamps, "stamped_headers": [*stamps]}


def merged(stamps: Stamps, more: Mapping[str, Any] | None, append: bool) -> Stamps:
    """Both; of a stamp in both the first, or with `append` the list of the two. Lists become one list in any case."""
    found = dict(stamps)
    for name, value in (more or {}).items():
        found[name] = _both(found[name], value, append) if name in found else value
    return found


def _both(first: Any, second: Any, append: bool) -> Any:
    if isinstance(first, dict):
        return merged(first, second, append)
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *second]
    if not append:
        return first
    # what stands alone is the beginning of a list
    start = [] if first is None else [first] if isinstance(first, int | float | str) else [*first]
    return [*start, *(second if isinstance(second, list) and isinstance(first, int | float | str) else [second])]


def of_visitor(stamps: Stamps, visited: Any, append: bool) -> Stamps:
    """The stamps, and those that a visitor has said; None: it was not asked."""
    found = told(stamps)
    if visited is not None:
        found = merged(found, told(visited), append)
        found["stamped_headers"] = [*dict.fromkeys(found["stamped_headers"])]
    return found


def with_own(stamps: Stamps, options: Mapping[str, Any], append: bool) -> Stamps:
    """The stamps, and those of the same names that a signature has in its options, and others that it was given."""
    names = [*dict.fromkeys([*stamps["stamped_headers"], *options.get("stamped_headers", ())])]
    own = {name: value for name, value in options.items() if name in names and name != "stamped_headers"}
    return {**merged(stamps, own, append), "stamped_headers": names}


class Stamped(Linked):
    """A signature that can be stamped."""

    set: Any

    def stamp(self, visitor: Any = None, append_stamps: bool = False, **headers: Any) -> Any:
        """Mark it with these, its links too: ``self.request.stamps`` of each call has them, and calls can be revoked by
        them. Those that it has already stay.

        Args:
            visitor: a `StampingVisitor` that says what each part is marked with besides.
            append_stamps: a stamp that was there already becomes the list of both values; without it the new one
                goes before it. Lists become one list in any case.
        """
        self.stamp_links(visitor, append_stamps, **headers)
        visited = None if visitor is None else visitor.on_signature(self, **headers) or {}
        return self.set(**self._stamps(visited, append_stamps, headers))

    def stamp_links(self, visitor: Any, append_stamps: bool = False, **headers: Any) -> None:
        """Mark its links and errbacks; see `stamp`."""
        for option, asked in (("link", "on_callback"), ("link_error", "on_errback")):
            stamps = deepcopy(headers)
            for each in map(self._signature, listed(self.options.get(option))):
                visited = None if visitor is None else getattr(visitor, asked)(each, **stamps) or {}
                stamps = of_visitor(stamps, visited, append_stamps)
                each.stamp(visitor, append_stamps, **stamps)

    def _stamps(self, visited: Any, append: bool, headers: dict[str, Any]) -> dict[str, Any]:
        """Those that it is to have, and its parts."""
        return with_own(of_visitor(headers, visited, append), self.options, append)
