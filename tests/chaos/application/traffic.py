"""What people do with the application, again and again, until they are told to stop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from examples.demo.acts.campaign import CONCURRENCY as CONCURRENCY
from examples.demo.acts.campaign import Campaign, fetch_books
from examples.demo.acts.chats import Chats
from examples.demo.acts.leads import Leads
from examples.demo.client import Client
from examples.demo.errors import DemoError
from examples.demo.people import Person
from examples.demo.registration import Registration
from tests.chaos.application.hooks import Hooks, Moody

PATIENCE_SECONDS = 150.0
"""The database is away for a minute, and the service has to come back after it."""
PEOPLE, PEOPLE_EVERY = 10, 0.5
ROWS, TARGETS = 400, 15
CHATS, MESSAGES = 2, 10
EVENTS_EVERY = 0.3
LOOK_SECONDS = 0.1
DOMAINS = {7: "refused.example", 13: "greylist.example"}
"""Of every twentieth person, by the remainder: whom the mail server does not take, or not at once."""


@dataclass
class Done:
    """What was done, as far as the service has said so: the books are held against it."""

    registration: Registration
    hooks: Hooks
    files: list[Leads] = field(default_factory=list)
    campaigns: list[Campaign] = field(default_factory=list)
    chats: list[Chats] = field(default_factory=list)
    provider: dict[str, dict[str, Any]] = field(default_factory=lambda: {"calls": {}, "dialled": {}})
    """What the provider has written down."""
    failures: list[str] = field(default_factory=list)
    """What the service said that it should not."""


class Traffic(threading.Thread):
    """All of it, beside the thread that injects the faults.

    Args:
        services: the URLs of two services.
        provider_url: of who makes the calls.
        database_url: where users are found.
    """

    def __init__(self, services: tuple[str, str], provider_url: str, database_url: str) -> None:
        super().__init__(name="traffic", daemon=True)
        self._one, self._other = services
        self._provider_url = provider_url
        self._database_url = database_url
        self._stopped = threading.Event()
        self._closed = threading.Event()
        self.ready = threading.Event()
        """The subscriptions are there: faults may come."""
        self.over = threading.Event()
        """What was begun has ended."""
        self.done = Done(Registration([], self._one, patience=PATIENCE_SECONDS), Hooks(Moody()))

    def run(self) -> None:
        try:
            asyncio.run(self._play())
        except Exception as error:
            self.done.failures.append(repr(error))
        finally:
            self.ready.set()
            self.over.set()

    def stop(self) -> None:
        """Begin nothing any more."""
        self._stopped.set()

    def close(self) -> None:
        """Receive nothing any more, and learn what the provider has written down."""
        self._closed.set()
        self.join(30)

    async def _play(self) -> None:
        receiver = self.done.hooks.receiver
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
        receiver.port = server.sockets[0].getsockname()[1]
        async with server, Client(self._other) as client:
            await self.done.hooks.subscribe(client)
            self.ready.set()
            acts = (self._people, self._chat, self._call, self._publish)
            playing = asyncio.gather(*map(self._again_and_again, acts))
            while not self._closed.is_set():
                if playing.done():
                    playing.result()  # raises what went wrong
                    self.over.set()
                await asyncio.sleep(LOOK_SECONDS)
            playing.cancel()
        async with Client(self._provider_url) as provider:
            self.done.provider = await fetch_books(provider)

    async def _again_and_again(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            while not self._stopped.is_set():
                await act()
        except* DemoError as errors:
            self.done.failures += [f"{act.__name__.strip('_')}: {error}" for error in errors.exceptions]

    async def _people(self) -> None:
        everybody = self.done.registration.people
        numbers = range(len(everybody), len(everybody) + PEOPLE)
        people = [
            Person(f"Person {n}", f"person.{n}@{DOMAINS.get(n % 20, 'mail.example')}", rolled_back=n % 10 == 0)
            for n in numbers
        ]
        everybody += people
        await self.done.registration.register(people)
        await asyncio.sleep(PEOPLE_EVERY)

    async def _chat(self) -> None:
        users = await asyncio.to_thread(self._users)
        if len(users) < CHATS:
            await asyncio.sleep(LOOK_SECONDS)
            return
        chats = Chats(CHATS, MESSAGES, self._other, self._database_url, asyncio.Event(), patience=PATIENCE_SECONDS)
        self.done.chats.append(chats)
        await chats.talk(users)

    def _users(self) -> list[int]:
        try:
            with psycopg.connect(self._database_url, autocommit=True) as connection:
                return [id for (id,) in connection.execute("SELECT id FROM users ORDER BY id DESC LIMIT 10")]
        except psycopg.Error:
            return []

    async def _call(self) -> None:
        """A file, and then calls to some of the people in it."""
        files, campaigns = self.done.files, self.done.campaigns
        file = Leads(ROWS, self._one, first=ROWS * len(files), patience=PATIENCE_SECONDS)
        files.append(file)
        await file.play()
        after = campaigns[-1].last if campaigns else 0
        campaign = Campaign(TARGETS, file, self._other, self._provider_url, after=after, patience=PATIENCE_SECONDS)
        campaigns.append(campaign)
        await campaign.play()

    async def _publish(self) -> None:
        async with Client(self._other, patience=PATIENCE_SECONDS) as client:
            await self.done.hooks.publish(client)
        await asyncio.sleep(EVENTS_EVERY)
