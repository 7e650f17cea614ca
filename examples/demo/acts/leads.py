"""A file of leads is imported, in batches that commit with their position; every row is scored."""

import asyncio
from typing import Any

import psycopg

from examples.demo.acts.service import LOOK_SECONDS, Client
from examples.demo.books import Entry

BAD, TWICE = 97, 41


class Leads:
    """The import of ``rows`` rows, of which some cannot be used and some come twice.

    Attributes:
        over: set when the leads are there.
    """

    name = "leads"

    def __init__(self, rows: int, url: str) -> None:
        self.rows = rows
        self.over = asyncio.Event()
        self.refused = sum(n % BAD == BAD - 1 for n in range(rows))
        self.merged = sum(map(self._repeats, range(rows)))
        self._url = url
        self._import: dict[str, Any] = {"rows": 0}

    def file(self) -> bytes:
        """The file, as it comes from elsewhere."""
        lines = ["Full name;E-Mail;Telefon;Firma;Country;Zeitzone"]
        for n in range(self.rows):
            if n % BAD == BAD - 1:
                lines.append(f"Nobody {n};no address;12;;DE;Europe/Berlin")
                continue
            # the same address once more, in capitals
            address = f"LEAD.{n - 1}@mail.example" if self._repeats(n) else f"lead.{n}@mail.example"
            lines.append(f"Lead {n};{address};0151 {20_000_000 + n};Company {n % 400};DE;Europe/Berlin")
        return "\r\n".join(lines).encode("cp1252")

    def _repeats(self, n: int) -> bool:
        """Whether the row has the address of the one before it."""
        return n % TWICE == TWICE - 1 and BAD - 1 not in (n % BAD, (n - 1) % BAD)

    async def play(self) -> None:
        async with Client(self._url) as client:
            sent = await client.ask("POST", "/leads/imports?name=fair.csv", content=self.file())
            self._import = sent.json()
            over = False
            while not over:
                await asyncio.sleep(LOOK_SECONDS)
                over = await client.has_succeeded(self._import["job_id"])
                self._import = (await client.ask("GET", f"/leads/imports/{self._import['id']}")).json()
        self.over.set()

    def progress(self) -> tuple[int, int]:
        return self._import["rows"], self.rows

    def entries(self, connection: psycopg.Connection[Any]) -> list[Entry]:
        imported, scored = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE rules_version > 0) FROM leads"
        ).fetchone() or (0, 0)
        good = self.rows - self.refused - self.merged
        return [
            Entry("leads imported = good rows of the file", imported, good),
            Entry("rows merged = addresses that came twice", self._import["merged"], self.merged),
            Entry("rows refused, each with its reason = bad rows", self._import["refused"], self.refused),
            Entry("leads scored = leads imported", scored, imported),
        ]

    def figures(self, connection: psycopg.Connection[Any]) -> list[tuple[str, float | None, str]]:
        row = connection.execute(
            "SELECT rows_done / nullif(extract(EPOCH FROM finished_at - created_at), 0) FROM ("
            "SELECT imported + merged + refused AS rows_done, finished_at, created_at FROM lead_imports) AS imports"
        ).fetchone()
        return [("leads per second, beside all the rest", row and row[0], "SQL: lead_imports")]
