"""Leads are called, through a provider that fails now and then; nobody twice."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from examples.demo.acts.leads import Leads
from examples.demo.books import Entry
from examples.demo.client import LOOK_SECONDS, Client

CONCURRENCY = 20
OUTCOMES = ("completed", "failed", "no_answer", "busy", "cancelled", "skipped")


class Campaign:
    """Calls to the first ``targets`` leads.

    Args:
        targets: how many.
        leads: the act that they come from.
        url: of the service.
        provider_url: of the provider.
        after: the id of the last lead that another campaign calls.
        patience: of the clients.
    """

    name = "calls"

    def __init__(
        self, targets: int, leads: Leads, url: str, provider_url: str, *, after: int = 0, patience: float = 0.0
    ) -> None:
        self.targets = targets
        self.last = after
        """The id of the last lead that is called."""
        self._leads = leads
        self._url = url
        self._provider_url = provider_url
        self._patience = patience
        self._done = 0
        self.report: dict[str, int] = {}
        self._books: dict[str, dict[str, Any]] = {}

    async def play(self) -> None:
        await self._leads.over.wait()
        async with Client(self._url, patience=self._patience) as client, Client(self._provider_url) as provider:
            found = (await client.ask("GET", f"/leads?limit={self.targets}&after={self.last}")).json()
            self.targets, self.last = len(found), max(lead["id"] for lead in found)
            form = {"name": "After the fair", "concurrency": CONCURRENCY, "lead_ids": [lead["id"] for lead in found]}
            path = f"/campaigns/{(await client.ask('POST', '/campaigns', json=form)).json()['id']}"
            await client.ask("POST", f"{path}/start")
            while (answer := await client.ask("GET", f"{path}/report", allowed=(409,))).status_code == 409:
                status = (await client.ask("GET", path)).json()
                self._done = round(status["progress"] * self.targets)
                await asyncio.sleep(LOOK_SECONDS)
            self.report, self._done = answer.json(), self.targets
            self._books = await fetch_books(provider)

    def progress(self) -> tuple[int, int]:
        return self._done, self.targets

    def entries(self, connection: psycopg.Connection[Any]) -> list[Entry]:
        return entries(connection, [self], self._books)

    def figures(self, connection: psycopg.Connection[Any]) -> list[tuple[str, float | None, str]]:
        return [
            ("calls completed", self.report["completed"], "the campaign's report"),
            ("orders that the provider refused or lost", sum(self._books["refused"].values()), "the provider"),
        ]


async def fetch_books(provider: Client) -> dict[str, dict[str, Any]]:
    """What the provider has written down."""
    books: dict[str, dict[str, Any]] = (await provider.ask("GET", "/books")).json()
    return books


def entries(
    connection: psycopg.Connection[Any], campaigns: Sequence[Campaign], books: Mapping[str, Mapping[str, Any]]
) -> list[Entry]:
    """The books of these campaigns, which are all who call, beside those of the provider."""
    ours = {str(key): state for key, state in connection.execute("SELECT key, state FROM calls")}
    theirs = books["calls"]
    differences = [
        f"call {key} is {ours.get(key, 'unknown')} here, and {end} at the provider"
        for key, end in theirs.items()
        if ours.get(key) != end
    ]
    return [
        Entry(
            "outcomes in the campaign's report = targets",
            sum(campaign.report.get(outcome, 0) for campaign in campaigns for outcome in OUTCOMES),
            sum(campaign.targets for campaign in campaigns),
        ),
        Entry(
            "calls that ended here as at the provider = at the provider",
            len(theirs) - len(differences),
            len(theirs),
            tuple(differences),
        ),
        Entry(
            "people who were called twice",
            sum(times > 1 for times in books["dialled"].values()),
            0,
            of=len(books["dialled"]),
        ),
    ]
