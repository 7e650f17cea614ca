"""The shop's own database: a file of SQLite, so that it belongs to neither queue."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TABLES = """
CREATE TABLE orders (number INTEGER PRIMARY KEY, customer TEXT, cents INTEGER, state TEXT);
CREATE TABLE lines (number INTEGER, sku TEXT, pieces INTEGER);
CREATE TABLE shelf (sku TEXT PRIMARY KEY, shelf TEXT, pieces INTEGER, cents INTEGER);
CREATE TABLE counts (what TEXT PRIMARY KEY, times INTEGER);
"""


class Transaction(sqlite3.Connection):
    """A transaction, and what is to be done when it is there for all to see."""

    def on_commit(self, call: Callable[[], object]) -> None:
        self.__dict__.setdefault("later", []).append(call)


@contextmanager
def transaction() -> Iterator[Transaction]:
    path = os.path.join(os.environ["SHOP_FOLDER"], "shop.db")
    connection = sqlite3.connect(path, factory=Transaction, timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
    finally:
        connection.close()
    for call in connection.__dict__.get("later", ()):
        call()


def create() -> None:
    with transaction() as db:
        for statement in TABLES.strip().split(";"):
            db.execute(statement)


def count(what: str) -> int:
    """How often this was called with these words, this time included."""
    with transaction() as db:
        db.execute("INSERT INTO counts VALUES (?, 1) ON CONFLICT (what) DO UPDATE SET times = times + 1", (what,))
        return db.execute("SELECT times FROM counts WHERE what = ?", (what,)).fetchone()[0]


def counted(what: str) -> int:
    with transaction() as db:
        return next(iter(db.execute("SELECT times FROM counts WHERE what = ?", (what,)).fetchone() or (0,)))


def wait_for(what: str, times: int = 1, seconds: float = 60) -> None:
    """Until it was counted so often."""
    until = time.monotonic() + seconds
    while counted(what) < times:
        if time.monotonic() > until:
            raise TimeoutError(f"{what!r} was seen {counted(what)} times after {seconds} s, not {times} times")
        time.sleep(0.05)


def rows(query: str, *values: object) -> list[tuple]:
    with transaction() as db:
        return db.execute(query, values).fetchall()
