"""The ``json_dumps`` and ``json_loads`` of a connector: procrastinate's way to arguments that JSON does not know."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workrow.arguments.secrets import MASK, NOTHING, hides
from workrow.errors import ArgumentError, brief


@dataclass(frozen=True, slots=True)
class Codec:
    """How a connector's user writes values as JSON text, and reads them.

    Args:
        dumps: from a value to JSON text.
        loads: from JSON text to a value.
    """

    dumps: Callable[[Any], str | bytes]
    loads: Callable[[str], Any]

    def plain(self, value: Any) -> Any:
        """The value as plain JSON values, as ``dumps`` writes it."""
        return json.loads(self.dumps(value))

    def arguments(
        self, task: str, given: Mapping[str, Any], converted: Mapping[str, Any], hidden: frozenset[str] = NOTHING
    ) -> dict[str, Any]:
        """The arguments of one job as plain JSON values.

        Args:
            task: the task's name, for errors.
            given: as they were given; written by ``dumps`` alone where it knows how.
            converted: those with an annotation as pydantic writes them, for what ``dumps`` does not know.
            hidden: the names of those that are not to be shown; ``dumps`` might write a secret as ``***``.

        Raises:
            ArgumentError: one that neither knows.
        """
        secret = {name: value for name, value in converted.items() if hides(hidden, name)}
        try:
            plain: dict[str, Any] = self.plain({**given, **secret})
        except (TypeError, ValueError, RecursionError):
            plain = self._converted(task, converted, hidden)
        return plain

    def _converted(self, task: str, converted: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
        try:
            plain: dict[str, Any] = self.plain(converted)
        except (TypeError, ValueError, RecursionError) as error:
            name = next((name for name, value in converted.items() if not self._writes(value)), "?")
            said, why = (MASK, "it is hidden") if hides(hidden, name) else (brief(converted.get(name)), error)
            raise ArgumentError(
                f"{task}: argument {name}={said} cannot be stored as JSON ({why}); "
                "teach it to the connector's json_dumps"
            ) from None
        return plain

    def _writes(self, value: Any) -> bool:
        try:
            self.plain(value)
        except (TypeError, ValueError, RecursionError):
            return False
        return True

    def read(self, text: str | bytes) -> Any:
        """The value of a row's JSON text.

        Raises:
            ValueError: ``loads`` failed.
        """
        try:
            return self.loads(text if isinstance(text, str) else bytes(text).decode())
        except Exception as error:
            raise ValueError(f"the connector's json_loads failed: {error!r}") from error


def codec_of(connector: Any) -> Codec | None:
    """The functions that a connector was given; None for plain JSON."""
    dumps, loads = (
        getattr(connector, f"_{name}", None) or getattr(connector, name, None) for name in ("json_dumps", "json_loads")
    )
    return Codec(dumps or json.dumps, loads or json.loads) if dumps or loads else None
