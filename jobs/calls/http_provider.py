"""A provider that is asked over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import httpx
from pydantic import ValidationError

import workrow
from jobs.calls.provider import RATE, CallRefused, Download, GarbledAnswer, Provider, RecordingGone, Report
from jobs.settings import get_settings

LONGEST_WAIT = 86_400.0
"""Seconds: a longer Retry-After is a mistake."""
REFUSALS = frozenset({400, 410, 422})
"""Of this number. 401, 402 and 403 are of us: what is asked again may be answered when somebody has seen to it."""


@asynccontextmanager
async def connect() -> AsyncIterator[Provider]:
    """The provider of the settings, on connections that all jobs of a worker share."""
    settings = get_settings()
    headers = {}
    if settings.provider_key is not None:
        headers["Authorization"] = f"Bearer {settings.provider_key.get_secret_value()}"
    async with httpx.AsyncClient(
        base_url=str(settings.provider_url),
        headers=headers,
        timeout=settings.provider_timeout,
        trust_env=False,
    ) as client:
        yield HttpProvider(client, settings.provider_timeout)


class HttpProvider:
    """``POST /calls`` with an Idempotency-Key, ``GET /calls/KEY``, ``POST /calls/KEY/hangup``, ``GET /recordings/ID``.

    Args:
        client: with the provider's URL and credentials.
        timeout: seconds that an answer may take in all; of a recording, the time between two pieces.
    """

    def __init__(self, client: httpx.AsyncClient, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    async def place(self, key: UUID, phone: str) -> Report:
        body = {"key": str(key), "to": phone}
        answer = await self._ask("POST", "calls", json=body, headers={"Idempotency-Key": str(key)})
        if answer.status_code in REFUSALS:
            raise CallRefused(f"{answer.status_code}: {answer.text[:200]}")
        answer.raise_for_status()
        return _report(answer)

    async def find(self, key: UUID) -> Report | None:
        answer = await self._ask("GET", f"calls/{key}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return _report(answer)

    async def hang_up(self, key: UUID) -> None:
        answer = await self._ask("POST", f"calls/{key}/hangup")
        if answer.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
            answer.raise_for_status()

    @asynccontextmanager
    async def recording(self, id: str) -> AsyncIterator[Download]:
        async with self._client.stream("GET", f"recordings/{id}") as answer:
            if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
                raise RecordingGone(f"the provider has no recording {id}")
            _heed_rate(answer)
            answer.raise_for_status()
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            length = answer.headers.get("Content-Length", "")
            # as it is on the wire: a small compressed answer must not grow on our disk
            yield Download(kind, int(length) if length.isdecimal() else None, answer.aiter_raw())

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async with asyncio.timeout(self._timeout):  # httpx's own is for each piece of the answer
            answer = await self._client.request(method, path, **more)
        _heed_rate(answer)
        return answer


def _report(answer: httpx.Response) -> Report:
    try:
        return Report.model_validate_json(answer.content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise GarbledAnswer(f"{answer.request.url} answered {answer.text[:200]!r}: {problem['msg']}") from error


def _heed_rate(answer: httpx.Response) -> None:
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        seconds = _seconds(answer.headers.get("Retry-After", ""))
        raise workrow.RateLimited("429 from the provider", retry_after=seconds, limit=RATE.name)


def _seconds(retry_after: str) -> float:
    """What Retry-After says, in seconds or as a date (RFC 9110, 10.2.3); 5 if it says nothing."""
    try:
        seconds = float(retry_after) if retry_after.strip().isdecimal() else _until(retry_after)
    except ValueError:
        seconds = 5.0
    return min(max(seconds, 1.0), LONGEST_WAIT)


def _until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
