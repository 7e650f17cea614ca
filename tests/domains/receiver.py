"""A receiver of webhooks on a real socket, which may behave as badly as receivers do."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(status: int, body: str = "", **headers: str) -> bytes:
    """An HTTP answer; ``Retry_After="7"`` is the header Retry-After."""
    content = body.encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass
class Received:
    """A request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """What a receiver checks, by the specification, with nothing of ours."""
        key = base64.b64decode(secret.split("_", 1)[1])
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        ours = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        versions = [each.split(",", 1) for each in self.headers["webhook-signature"].split(" ")]
        return any(version == "v1" and hmac.compare_digest(theirs, ours) for version, theirs in versions)


@dataclass
class Receiver:
    """Answers each request with the next of ``answers``, and then with ``otherwise``.

    An answer is the bytes to send; ``b""`` closes the connection without a word, "silence" says nothing, "endless"
    never comes to an end, "drip" sends a byte of its head now and then.
    """

    answers: list[bytes | str] = field(default_factory=list)
    otherwise: bytes | str = OK
    received: list[Received] = field(default_factory=list)
    port: int = 0
    open: int = 0
    most_open: int = 0
    delay: float = 0
    sent: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            self.received.append(await read(reader))
            await asyncio.sleep(self.delay)
            await self.reply(self.answers.pop(0) if self.answers else self.otherwise, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def reply(self, answer: bytes | str, writer: asyncio.StreamWriter) -> None:
        match answer:
            case bytes():
                writer.write(answer)
                await writer.drain()
            case "silence":
                await asyncio.sleep(60)
            case "endless":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                while self.sent < 500_000_000:
                    writer.write(b"x" * 65_536)
                    self.sent += 65_536
                    await writer.drain()
            case "drip":
                for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Padding: 1\r\n" * 1000:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.1)


async def read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Received(first.split(" ")[1], headers, body)


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.ensure_future(receiver.serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()
    for each in connections:
        each.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    await asyncio.sleep(0)
