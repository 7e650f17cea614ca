"""What is called after a call: the part of a signature that says so."""

from typing import Any, Self


def listed(value: Any) -> list[Any]:
    """A list of what may be one thing or none."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


class Linked(dict[str, Any]):
    """A signature with links and errbacks among its options."""

    options: Any

    def _signature(self, each: Any) -> Any:
        """What a link is: it may be a dict."""
        raise NotImplementedError

    def link(self, callback: Any) -> Any:
        """Call this with the result; returns it."""
        return self.append_to_list_option("link", callback)

    def link_error(self, errback: Any) -> Any:
        """Call this after a failure; returns it."""
        return self.append_to_list_option("link_error", errback)

    def on_error(self, errback: Any) -> Self:
        """`link_error`, which returns the signature itself."""
        self.link_error(errback)
        return self

    def append_to_list_option(self, key: str, value: Any) -> Any:
        items = self._list_option(key)
        if value not in items:
            items.append(value)
        return value

    def extend_list_option(self, key: str, value: Any) -> None:
        self._list_option(key).extend(listed(value))

    def _list_option(self, key: str) -> list[Any]:
        items = self.options.setdefault(key, [])
        if not isinstance(items, list):
            items = self.options[key] = [items]
        return items

    def flatten_links(self) -> list[Any]:
        """Itself and all that follows by links."""
        links = map(self._signature, listed(self.options.get("link")))
        return [self, *(each for link in links for each in link.flatten_links())]
