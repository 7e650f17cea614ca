"""One request to one receiver, whatever it does to us."""

import asyncio
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

import workrow
from jobs.settings import get_settings
from jobs.webhooks import guard, signing
from workrow import clock

MAX_BODY = 4096
"""Bytes of an answer that are read; then the connection is closed."""
MAX_SNIPPET = 1000
MAX_ERROR = 500
"""Characters of each that are kept; an error may quote what a receiver sent instead of HTTP."""
BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class Message:
    """What is to be sent. The keys are those that sign it; ``failing``: the attempt before this one has failed."""

    delivery_id: int
    url: str
    event_id: str
    body: str
    keys: tuple[str, ...] = field(repr=False)
    failing: bool = False


@dataclass
class Answer:
    """How an attempt went: a status, or the error that there is instead.

    Attributes:
        status: of HTTP; None if there was no answer.
        error: why there was none, or why this one is no success.
        snippet: the beginning of the answer's body.
        retry_after: the header of that name, of 429 and 503.
        duration_ms: from the name server's first word on.
    """

    status: int | None = None
    error: str | None = None
    snippet: str | None = None
    retry_after: str | None = None
    duration_ms: int = 0

    @property
    def is_success(self) -> bool:
        """Whether the receiver has said that it has it."""
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Sends messages: ``async with Sender() as sender: …``. It follows no redirect, and keeps no cookie or connection.

    A connection that were kept for one name could be used for another name at the same address.
    """

    async def __aenter__(self) -> Self:
        self._transport = httpx.AsyncHTTPTransport(
            trust_env=False, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def send(self, message: Message) -> Answer:
        """Send it once. Never raises for what the receiver, the network or the name server does."""
        answer = Answer()
        started = time.monotonic()
        seconds = get_settings().webhook_timeout
        try:
            async with asyncio.timeout(seconds):
                await self._exchange(message, answer)
        except TimeoutError:
            answer.error = f"no answer within {seconds:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, guard.RefusedURL) as error:
            answer.error = " ".join(str(error).split())[:MAX_ERROR] or type(error).__name__
        answer.duration_ms = round((time.monotonic() - started) * 1000)
        if answer.status is not None:  # what happens to the body changes nothing
            answer.error = None if answer.is_success else _refusal(answer.status)
        return answer

    async def _exchange(self, message: Message, answer: Answer) -> None:
        response = await self._respond(message)
        try:
            answer.status = response.status_code
            if response.status_code in BUSY:
                answer.retry_after = response.headers.get("Retry-After")
            body = b""
            async for chunk in response.aiter_raw():  # as it comes: what is compressed may be a bomb
                body += chunk[:MAX_BODY]
                answer.snippet = body[:MAX_BODY].decode("utf-8", "replace").replace("\x00", "\ufffd")[:MAX_SNIPPET]
                if len(body) >= MAX_BODY:
                    break
        finally:
            await response.aclose()

    async def _respond(self, message: Message) -> httpx.Response:
        """The head of the first address's answer that can be reached."""
        url = guard.parse(message.url)
        unreachable: Exception = OSError("no address")
        for address in await guard.addresses(url):
            try:
                return await self._transport.handle_async_request(_request(message, url, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreachable = error
        raise unreachable


def _request(message: Message, url: httpx.URL, address: str) -> httpx.Request:
    """A request to this address, and no other; the certificate and the Host header are those of the name."""
    content = message.body.encode()
    headers = {
        "Host": url.netloc.decode(),
        "Content-Type": "application/json",
        "User-Agent": f"workrow-webhooks/{workrow.__version__}",
        "Accept-Encoding": "identity",
        **signing.headers(message.event_id, content, message.keys, clock.now()),
    }
    timeout = httpx.Timeout(get_settings().webhook_timeout)
    return httpx.Request(
        "POST",
        url.copy_with(host=address),
        headers=headers,
        content=content,
        extensions={"sni_hostname": url.raw_host.decode(), "timeout": timeout.as_dict()},
    )


def _refusal(status: int) -> str:
    reason = httpx.codes.get_reason_phrase(status)
    words = f"{status} {reason}".strip()
    return f"{words}: redirects are not followed" if 300 <= status < 400 else words
