"""A file of leads is imported, in batches that commit with their position; every row is scored."""

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg

from examples.demo.books import Entry
from examples.demo.client import LOOK_SECONDS, Client

BAD, TWICE = 97, 41


class Leads:
    """The import of ``rows`` rows, of which some cannot be used and some come twice.

    Args:
        rows: how many.
        url: of the service.
        first: the number of the first row; other files have other numbers, and other people.
        patience: of the client.

    Attributes:
        over: set when the leads are there.
    """

    name = "leads"

    def __init__(self, rows: int, url: str, *, first: int = 0, patience: float = 0.0) -> None:
        self.rows = rows
        self.over = asyncio.Event()
        self._numbers = range(first, first + rows)
        self.refused = sum(n % BAD == BAD - 1 for n in self._numbers)
        self.merged = sum(map(self._repeats, self._numbers))
        self._url = url
        self._patience = patience
        self.told: dict[str, Any] = {"rows": 0, "merged": 0, "refused": 0}
        """What the service has said of the import."""

    @property
    def good(self) -> int:
        """The rows that become a lead each."""
        return self.rows - self.refused - self.merged

    def file(self) -> bytes:
        """The file, as it comes from elsewhere."""
        lines = ["Full name;E-Mail;Telefon;Firma;Country;Zeitzone"]
        for n in self._numbers:
            if n % BAD == BAD - 1:
                lines.append(f"Nobody {n};no address;12;;DE;Europe/Berlin")
                continue
            # the same address once more, in capitals
            address = f"LEAD.{n - 1}@mail.example" if self._repeats(n) else f"lead.{n}@mail.example"
            lines.append(f"Lead {n};{address};0151 {20_000_000 + n};Company {n % 400};DE;Europe/Berlin")
        return "\r\n".join(lines).encode("cp1252")

    def _repeats(self, n: int) -> bool:
        """Whether the row has the address of the one before it."""
        return n > self._numbers[0] and n % TWICE == TWICE - 1 and BAD - 1 not in (n % BAD, (n - 1) % BAD)

    async def play(self) -> None:
        async with Client(self._url, patience=self._patience) as client:
            sent = await client.ask("POST", "/leads/imports?name=fair.csv", content=self.file())
            self.told = sent.json()
            over = False
            while not over:
                await asyncio.sleep(LOOK_SECONDS)
                over = await client.has_succeeded(self.told["job_id"])
                self.told = (await client.ask("GET", f"/leads/imports/{self.told['id']}")).json()
        self.over.set()

    def progress(self) -> tuple[int, int]:
        return self.told["rows"], self.rows

    def entries(self, connection: psycopg.Connection[Any]) -> list[Entry]:
        return entries(connection, [self])

    def figures(self, connection: psycopg.Connection[Any]) -> list[tuple[str, float | None, str]]:
        row = connection.execute(
            "SELECT rows_done / nullif(extract(EPOCH FROM finished_at - created_at), 0) FROM ("
            "SELECT imported + merged + refused AS rows_done, finished_at, created_at FROM lead_imports) AS imports"
        ).fetchone()
        return [("leads per second, beside all the rest", row and row[0], "SQL: lead_imports")]


def entries(connection: psycopg.Connection[Any], files: Sequence[Leads]) -> list[Entry]:
    """The books of these files, which are all that were imported."""
    imported, scored = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE rules_version > 0) FROM leads"
    ).fetchone() or (0, 0)
    return [
        Entry("leads imported = good rows of the file", imported, sum(file.good for file in files)),
        Entry(
            "rows merged = addresses that came twice",
            sum(file.told["merged"] for file in files),
            sum(file.merged for file in files),
        ),
        Entry(
            "rows refused, each with its reason = bad rows",
            sum(file.told["refused"] for file in files),
            sum(file.refused for file in files),
        ),
        Entry("leads scored = leads imported", scored, imported),
    ]
