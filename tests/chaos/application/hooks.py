"""Events are published, and told to a receiver that fails now and then."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from examples.demo.books import Entry
from examples.demo.client import Client
from tests.domains.receiver import OK, Received, answer, read

REFUSED, LOST = 0.06, 0.03
"""Shares of what is received: refused, and taken without a word."""
EVENT = "thing.happened"
KINDS = {"plain": "*", "ordered": EVENT}
"""The subscriptions, and what each hears of."""
DELIVERIES = """SELECT delivery.event_id, delivery.status, delivery.job_id, job.claims, subscription.description AS kind
                FROM webhook_deliveries AS delivery
                INNER JOIN webhook_subscriptions AS subscription ON subscription.id = delivery.subscription_id
                LEFT JOIN workrow.jobs AS job ON job.id = delivery.job_id"""


class Moody:
    """A receiver that answers as chance has it, and remembers what it has taken."""

    def __init__(self) -> None:
        self.port = 0
        self.secrets: dict[str, str] = {}
        self.taken: dict[str, list[str]] = {kind: [] for kind in KINDS}
        """The ids of the events in the order in which they came, repeats among them, by the kind of subscription."""
        self.forged = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        fate = random.random()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            request = await read(reader)
            if fate < REFUSED:
                writer.write(answer(random.choice((500, 502, 503)), "not now"))
            else:
                self.take(request)
                writer.write(b"" if fate < REFUSED + LOST else OK)
            await writer.drain()

    def take(self, request: Received) -> None:
        """It is the receiver's now."""
        kind = request.path.rpartition("/")[2]
        self.forged += not request.is_signed_with(self.secrets[kind])
        self.taken[kind].append(request.headers["webhook-id"])


class Hooks:
    """Events, one after the other, of which two subscriptions hear: one in their order, one of all else as well.

    Args:
        receiver: who is told.
    """

    def __init__(self, receiver: Moody) -> None:
        self.receiver = receiver
        self.published: list[str] = []
        """The ids of the events, in their order, as far as the service has said that it has them."""

    async def subscribe(self, client: Client) -> None:
        """Before there is anything to hear of."""
        for kind, events in KINDS.items():
            url = f"http://127.0.0.1:{self.receiver.port}/{kind}"
            form = {"url": url, "events": [events], "description": kind, "ordered": kind == "ordered"}
            told = (await client.ask("POST", "/webhooks/subscriptions", json=form)).json()
            self.receiver.secrets[kind] = told["secret"]

    async def publish(self, client: Client) -> None:
        """One event. Where an answer is lost, there is another one that nobody knows of."""
        form = {"type": EVENT, "data": {"number": len(self.published)}}
        self.published.append((await client.ask("POST", "/webhooks/events", json=form)).json()["id"])

    def entries(self, connection: psycopg.Connection[Any], taken_claims: Mapping[int, int]) -> list[Entry]:
        """The books of the webhooks.

        Args:
            connection: to the database.
            taken_claims: how many claims of a job a crash of the server took.
        """
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(DELIVERIES).fetchall()
        due = {(row["event_id"], row["kind"]) for row in rows}
        came = Counter((id, kind) for kind in KINDS for id in self.receiver.taken[kind])
        missing = {(id, kind) for id in self.published for kind in KINDS} - due
        early = self._early()
        open_ = [row for row in rows if row["status"] != "delivered"]
        repeats = self._repeats(rows, came, taken_claims)
        return [
            Entry(
                "events published that are not in the table", len(missing), 0, _told(missing), of=len(self.published)
            ),
            Entry("deliveries delivered = deliveries", len(rows) - len(open_), len(rows), tuple(map(str, open_))),
            Entry("events that came to the receiver = deliveries", len(came), len(due), _told(set(came) ^ due)),
            Entry(
                "events that came more often than attempts explain", len(repeats), 0, tuple(repeats), of=came.total()
            ),
            Entry(
                "ordered events that came before an earlier one", len(early), 0, tuple(early), of=len(self.published)
            ),
            Entry("events with a wrong signature", self.receiver.forged, 0, of=came.total()),
        ]

    def _repeats(
        self, rows: Sequence[Mapping[str, Any]], came: Mapping[tuple[str, str], int], taken: Mapping[int, int]
    ) -> list[str]:
        """What came more often than claims of its job explain; all in order together, whose jobs serve the first."""
        may = Counter[tuple[str | None, str]]()
        did = Counter[tuple[str | None, str]]()
        for row in rows:
            each = (None if row["kind"] == "ordered" else row["event_id"], row["kind"])
            may[each] += (row["claims"] or 0) + taken.get(row["job_id"], 0)
            did[each] += came[row["event_id"], row["kind"]]
        return [
            f"{id or 'all'} came {did[id, kind]} times to {kind}, with {may[id, kind]} claims"
            for id, kind in did
            if did[id, kind] > may[id, kind]
        ]

    def _early(self) -> list[str]:
        """Of those whose order is known, whose first coming was too soon."""
        place = {id: number for number, id in enumerate(self.published)}
        first = [id for id in dict.fromkeys(self.receiver.taken["ordered"]) if id in place]
        latest, early = -1, []
        for id in first:
            if place[id] < latest:
                early.append(f"{id}, the {place[id]}th, came after the {latest}th")
            latest = max(latest, place[id])
        return early


def _told(found: set[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{id} ({kind})" for id, kind in sorted(found))
