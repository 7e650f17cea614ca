"""Leads are called, through a provider that fails now and then; nobody twice."""

import asyncio
from typing import Any

import psycopg

from examples.demo.acts.leads import Leads
from examples.demo.acts.service import LOOK_SECONDS, Client
from examples.demo.books import Entry

CONCURRENCY = 20
OUTCOMES = ("completed", "failed", "no_answer", "busy", "cancelled", "skipped")


class Campaign:
    """Calls to the first ``targets`` leads.

    Args:
        targets: how many.
        leads: the act that they come from.
        url: of the service.
        provider_url: of the provider.
    """

    name = "calls"

    def __init__(self, targets: int, leads: Leads, url: str, provider_url: str) -> None:
        self._targets = targets
        self._leads = leads
        self._url = url
        self._provider_url = provider_url
        self._done = 0
        self._report: dict[str, int] = {}
        self._books: dict[str, dict[str, int]] = {}

    async def play(self) -> None:
        await self._leads.over.wait()
        async with Client(self._url) as client, Client(self._provider_url) as provider:
            found = (await client.ask("GET", f"/leads?limit={self._targets}")).json()
            self._targets = len(found)
            form = {"name": "After the fair", "concurrency": CONCURRENCY, "lead_ids": [lead["id"] for lead in found]}
            path = f"/campaigns/{(await client.ask('POST', '/campaigns', json=form)).json()['id']}"
            await client.ask("POST", f"{path}/start")
            while (answer := await client.ask("GET", f"{path}/report", allowed=(409,))).status_code == 409:
                status = (await client.ask("GET", path)).json()
                self._done = round(status["progress"] * self._targets)
                await asyncio.sleep(LOOK_SECONDS)
            self._report, self._done = answer.json(), self._targets
            self._books = (await provider.ask("GET", "/books")).json()

    def progress(self) -> tuple[int, int]:
        return self._done, self._targets

    def entries(self, connection: psycopg.Connection[Any]) -> list[Entry]:
        dialled = self._books["dialled"]
        placed = sum(self._report[outcome] for outcome in ("completed", "no_answer", "busy"))
        ended = sum(self._books["ends"].get(outcome, 0) for outcome in ("completed", "no_answer", "busy"))
        return [
            Entry(
                "outcomes in the campaign's report = targets",
                sum(self._report[each] for each in OUTCOMES),
                self._targets,
            ),
            Entry("calls with an outcome here = at the provider", placed, ended),
            Entry("people who were called twice", sum(times > 1 for times in dialled.values()), 0),
        ]

    def figures(self, connection: psycopg.Connection[Any]) -> list[tuple[str, float | None, str]]:
        return [
            ("calls completed", self._report["completed"], "the campaign's report"),
            ("orders that the provider refused or lost", sum(self._books["refused"].values()), "the provider"),
        ]
