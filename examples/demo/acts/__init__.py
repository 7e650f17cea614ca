"""What else happens in the demo, while people register: each act has traffic of its own, and books."""

from typing import Any, Protocol

import psycopg

from examples.demo.books import Entry


class Act(Protocol):
    """One system of the application at work.

    Attributes:
        name: of its bar.
    """

    name: str

    async def play(self) -> None:
        """All of it, until its jobs have ended.

        Raises:
            DemoError: the service said something that it should not.
        """

    def progress(self) -> tuple[int, int]:
        """What is done, of how much."""

    def entries(self, connection: psycopg.Connection[Any]) -> list[Entry]:
        """Its books, when all is over."""

    def figures(self, connection: psycopg.Connection[Any]) -> list[tuple[str, float | None, str]]:
        """What it has to tell: words, the figure, and who says so."""
