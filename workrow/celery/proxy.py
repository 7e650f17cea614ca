"""Something that is found each time it is used."""

from collections.abc import Callable
from typing import Any


class Proxy:
    """Stands for what a function finds.

    Args:
        find: finds it.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        object.__setattr__(self, "_find", find)

    def _get_current_object(self) -> Any:
        return object.__getattribute__(self, "_find")()

    @property  # type: ignore[misc]  # as isinstance sees it
    def __class__(self) -> Any:
        return type(self._get_current_object())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get_current_object(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._get_current_object(), name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._get_current_object()(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return bool(self._get_current_object() == other)

    def __hash__(self) -> int:
        return hash(self._get_current_object())

    def __bool__(self) -> bool:
        return bool(self._get_current_object())

    def __repr__(self) -> str:
        return repr(self._get_current_object())

    def __reduce__(self) -> Any:
        return Proxy, (object.__getattribute__(self, "_find"),)
