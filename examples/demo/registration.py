"""Registers the people over HTTP, many at a time."""

import asyncio
from collections.abc import Iterable, Iterator
from enum import StrEnum

from examples.demo.client import Client
from examples.demo.errors import DemoError
from examples.demo.people import Person

IN_FLIGHT = 16


class Answer(StrEnum):
    """What the service said to a registration."""

    REGISTERED = "registered"
    ROLLED_BACK = "rolled back"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    FAILED = "failed"


ANSWERS = {201: Answer.REGISTERED, 200: Answer.ROLLED_BACK, 409: Answer.DUPLICATE, 422: Answer.INVALID}


class Registration:
    """The registration of people with the service.

    Args:
        people: who they are.
        url: of the service.
        patience: for so many seconds it asks once more where there was no answer. None of the people may share an
            address then: whom the service knows by now, it has registered at a request whose answer was lost.
    """

    def __init__(self, people: list[Person], url: str, *, patience: float = 0.0) -> None:
        self.people = people
        self.answers: dict[Answer, list[Person]] = {answer: [] for answer in Answer}
        self.failures: list[str] = []
        """What the service said when it was none of the answers it documents."""
        self.middle = asyncio.Event()
        self.is_over = False
        self._url = url
        self._patience = patience

    @property
    def answered(self) -> int:
        return sum(len(people) for people in self.answers.values())

    @property
    def succeeded(self) -> int:
        """How many got one of the answers that the service documents."""
        return self.answered - len(self.answers[Answer.FAILED])

    async def run(self) -> None:
        """Register everybody."""
        await self.register(self.people)
        self.is_over = True

    async def register(self, people: Iterable[Person]) -> None:
        """Register these of the people."""
        waiting = iter(people)
        async with Client(self._url, patience=self._patience) as client, asyncio.TaskGroup() as clients:
            for _ in range(IN_FLIGHT):
                clients.create_task(self._register(waiting, client))

    async def _register(self, waiting: Iterator[Person], client: Client) -> None:
        for person in waiting:
            body = {"name": person.name, "email": person.email, "validate_only": person.rolled_back}
            try:
                response = await client.ask("POST", "/register", json=body, allowed=tuple(ANSWERS))
            except DemoError as error:
                answer = Answer.FAILED
                self.failures.append(f"{person.email}: {error}")
            else:
                answer = ANSWERS[response.status_code]
            if answer is Answer.DUPLICATE and self._patience:
                answer = Answer.REGISTERED
            self.answers[answer].append(person)
            if self.answered >= len(self.people) / 3:
                self.middle.set()
