"""What the tests of leads share: files, and what became of them."""

import csv
import io
from collections.abc import Iterable
from typing import Any

import psycopg

from jobs import database
from jobs.leads import imports, tasks
from jobs.leads.models import LeadImport
from jobs.leads.uploads import Upload

LARGEST = 64 * 1024 * 1024


def file_of(*lines: str, encoding: str = "utf-8") -> bytes:
    """A file of these lines."""
    return "".join(f"{line}\n" for line in lines).encode(encoding)


def csv_of(header: Iterable[str], rows: Iterable[Iterable[str]]) -> bytes:
    """A file as Python writes it."""
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def people(count: int) -> bytes:
    """So many people, each with an address and a number of their own."""
    rows = ((f"Ada {i}", f"ada{i}@firm{i % 97}.example", f"+1415{2000000 + i}", "Firm, Ltd.") for i in range(count))
    return csv_of(("Name", "E-mail", "Phone", "Company"), rows)


async def start(content: bytes, *, source: str | None = None) -> tuple[LeadImport, bool]:
    """Take the file in, with its job."""
    with Upload(LARGEST) as upload:
        for begin in range(0, len(content), 10_000):
            upload.write(content[begin : begin + 10_000])
        async with database.session() as session, session.begin():
            return await imports.start(session, upload, tasks.import_file.enqueue, name="leads.csv", source=source)


async def imported(content: bytes, *, source: str | None = None) -> tuple[int, imports.Books]:
    """Import the file, without a worker; its import's id, and its books."""
    started, _ = await start(content, source=source)
    return started.id, await imports.run(started.id, tasks.qualify.enqueue, lambda *_: None)


def leads(conn: psycopg.Connection[Any], columns: str = "email, phone, name") -> list[tuple[Any, ...]]:
    """The table, in order."""
    return conn.execute(f"SELECT {columns} FROM leads ORDER BY id").fetchall()


def problems(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Row, column, value and problem of what is reported."""
    query = 'SELECT "row", "column", value, problem FROM lead_import_errors ORDER BY import_id, number'
    return conn.execute(query).fetchall()
