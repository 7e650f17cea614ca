"""Registers the people over HTTP, many at a time."""

import asyncio
from collections.abc import Iterator
from enum import StrEnum

import httpx

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
    """The registration of `people` with the service at `url`."""

    def __init__(self, people: list[Person], url: str) -> None:
        self.people = people
        self.answers: dict[Answer, list[Person]] = {answer: [] for answer in Answer}
        self.failures: list[str] = []
        """What the service said when it was none of the answers it documents."""
        self.middle = asyncio.Event()
        self.is_over = False
        self._url = url

    @property
    def answered(self) -> int:
        return sum(len(people) for people in self.answers.values())

    @property
    def succeeded(self) -> int:
        """How many got one of the answers that the service documents."""
        return self.answered - len(self.answers[Answer.FAILED])

    async def run(self) -> None:
        """Register everybody."""
        waiting = iter(self.people)
        async with (
            # the machine's proxy settings are not for a service on this machine
            httpx.AsyncClient(base_url=self._url, timeout=30.0, trust_env=False) as client,
            asyncio.TaskGroup() as clients,
        ):
            for _ in range(IN_FLIGHT):
                clients.create_task(self._register(waiting, client))
        self.is_over = True

    async def _register(self, waiting: Iterator[Person], client: httpx.AsyncClient) -> None:
        for person in waiting:
            body = {"name": person.name, "email": person.email, "validate_only": person.rolled_back}
            try:
                response = await client.post("/register", json=body)
            except httpx.HTTPError as error:
                answer, said = Answer.FAILED, repr(error)
            else:
                answer = ANSWERS.get(response.status_code, Answer.FAILED)
                said = f"{response.status_code} {response.text[:200]}"
            self.answers[answer].append(person)
            if answer is Answer.FAILED:
                self.failures.append(f"{person.email}: {said}")
            if self.answered >= len(self.people) / 3:
                self.middle.set()
