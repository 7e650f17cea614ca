"""The door, on databases of an embedded PostgreSQL or any other."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.celery.conformance.looking import until
from tests.conftest import READABLE, SERVER, new_database
from workrow import embedded, schema
from workrow.celery import codec


@contextlib.contextmanager
def lanes(number: int, server: str | None = None) -> Iterator[list[str]]:
    """URLs of new databases with our schema, on ``server``, WORKROW_TEST_DATABASE_URL or the suite's own."""
    cluster = server or os.environ.get("WORKROW_TEST_DATABASE_URL") or embedded.ensure(SERVER, "postgres")
    with contextlib.ExitStack() as databases:
        urls = [databases.enter_context(new_database(cluster)) for _ in range(number)]
        for url in urls:
            schema.upgrade(url)
        yield urls


WRITTEN = ("procrastinate_jobs", "workrow.celery_results", "workrow.celery_revoked", "workrow.celery_groups")


class Store:
    """What lies in the database of a lane."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, options=READABLE)

    def empty(self) -> None:
        for table in WRITTEN:
            self._connection.execute(f"DELETE FROM {table}")

    def drop_what_waits(self) -> None:
        self._connection.execute("DELETE FROM procrastinate_jobs WHERE status = 'todo'")

    def busy(self) -> bool:
        """Whether a call waits, for its time too, or runs."""
        return bool(self._value("SELECT EXISTS (SELECT FROM procrastinate_jobs)"))

    def stored(self, task_id: str) -> dict[str, Any]:
        """A result as it is stored, by Celery's names for what there is of it."""
        query = "SELECT * FROM workrow.celery_results WHERE task_id = %s"
        cursor = self._connection.execute(query, [task_id])
        row = dict(zip([column.name for column in cursor.description or ()], cursor.fetchone() or (), strict=True))
        names = {"state": "status", "value": "result", "noted_at": "date_done"}
        found = {names.get(name, name): value for name, value in row.items() if name not in ("details", "expires_at")}
        found |= {"result": codec.unpack(row["value"]), "date_done": row["noted_at"].isoformat()}
        return found | (row["details"] or {})

    def seconds_to_live(self, task_id: str) -> float:
        query = (
            "SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM workrow.celery_results WHERE task_id = %s"
        )
        return float(self._value(query, task_id))

    def waiting(self) -> int:
        return int(self._value("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'"))

    def held(self) -> int:
        return int(self._value("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'"))

    def waiting_by_list(self) -> list[str]:
        """How many calls wait at each priority."""
        rows = self._connection.execute(
            "SELECT format('%s at %s: %s', queue_name, priority, count(*)) FROM procrastinate_jobs"
            " GROUP BY queue_name, priority ORDER BY priority DESC"
        )
        return [text for (text,) in rows]

    def watch_chord(self, result: Any, seconds: float = 180) -> dict[str, Any]:
        """How many results there are once its body has run."""
        until(result.ready, seconds, 0.3)
        return {"results_kept": self._value("SELECT count(*) FROM workrow.celery_results")}

    def _value(self, query: str, *params: Any) -> Any:
        row = self._connection.execute(query, params).fetchone()
        assert row is not None, query
        return row[0]
