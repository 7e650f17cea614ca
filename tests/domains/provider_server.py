"""A telephone company on a free port, which answers as badly as it is told to."""

import asyncio
import hashlib
import json
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any

PROVIDER_SECRET = "whsec_d2hhdCB0aGUgcHJvdmlkZXIgc2lnbnMgd2l0aA=="

ENDS = ("completed", "completed", "completed", "failed", "no_answer", "busy")


class ProviderServer:
    """Keeps to its word: for one key it calls once. Everything else may go wrong.

    Attributes:
        mishaps: what becomes of the next orders: "slow" (for ever), "hold", "hold 429" (until ``release``),
            "429", "429 date", "500", "422", "403", "garbage",
            "drop" (it has heard nothing), "lost" (it calls, and its answer is lost).
        calls: what it knows, by key.
        dialled: how often a telephone has rung, by number.
        requests: all that it was asked, as "POST /calls".
        status_of: gives the state of a call that it has just been asked to make.
        recordings: the answer for each recording: type, bytes, announced length.
        tell: is given each event of a call that was dialled; by default nobody is told.
    """

    def __init__(self) -> None:
        self.mishaps: deque[str] = deque()
        self.calls: dict[str, dict[str, Any]] = {}
        self.dialled: Counter[str] = Counter()
        self.requests: list[str] = []
        self.recordings: dict[str, tuple[str, bytes, int | None]] = {}
        self.tell: Callable[[dict[str, Any]], Awaitable[None]] | None = None
        self.flaky: random.Random | None = None
        self.status_of: Callable[[], str] = lambda: "ringing"
        self.retry_after = "120"
        self.arrived = asyncio.Event()
        self.unannounced = False
        self.release = asyncio.Event()
        self.port = 0
        self.closing = asyncio.Event()
        self._stories: set[asyncio.Task[None]] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request after the other."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *rest = head.decode().split("\r\n")
                method, path, _ = first.split()
                headers = dict(line.lower().split(": ", 1) for line in rest if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append(f"{method} {path}")
                answer = await self._answer(method, path, headers, body)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        """End what is slow, and wait for calls that go on."""
        self.closing.set()
        await asyncio.gather(*self._stories)

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes | None:
        _, what, *rest = path.split("/")
        if what == "recordings":
            return self._recording(rest[0])
        if method == "POST" and not rest:
            order = json.loads(body)
            assert headers["idempotency-key"] == order["key"]
            return await self._place(order)
        call = self.calls.get(rest[0])
        if call is None:
            return response(404, {})
        if rest[1:] == ["hangup"]:
            if call["status"] in ("completed", "failed", "no_answer", "busy", "cancelled"):
                return response(409, {})
            call["status"] = "cancelled"
        return response(200, call)

    async def _place(self, order: dict[str, str]) -> bytes | None:
        if self.mishaps:
            mishap = self.mishaps.popleft()
        elif self.flaky and self.flaky.random() < 0.15:
            mishap = self.flaky.choice(["500", "drop", "lost", "429"])
        else:
            mishap = ""
        self.arrived.set()
        if mishap == "slow":
            await self.closing.wait()
            return None
        if mishap.startswith("hold"):
            await self.release.wait()
            mishap = mishap.removeprefix("hold").strip()
        if mishap.startswith("429"):
            return response(429, {}, {"Retry-After": self.retry_after})
        if mishap in ("500", "422", "403"):
            return response(int(mishap), {"error": "no such line"})
        if mishap == "422 NUL":
            return b"HTTP/1.1 422 Said\r\nContent-Length: 5\r\n\r\nno\x00no"
        if mishap == "garbage":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"
        if mishap == "drop":
            return None
        if order["key"] not in self.calls:
            self.dialled[order["to"]] += 1
            self.calls[order["key"]] = {"status": self.status_of()}
            if self.tell is not None:
                story = asyncio.create_task(self._story(order["key"]))
                self._stories.add(story)
                story.add_done_callback(self._stories.discard)
        return None if mishap == "lost" else response(201, self.calls[order["key"]])

    async def _story(self, key: str) -> None:
        """The person answers, or not."""
        assert self.tell is not None
        dice = random.Random(key)
        call, end = self.calls[key], dice.choice(ENDS)
        for status in ("in_progress", end) if end == "completed" else (end,):
            await asyncio.sleep(dice.uniform(0.01, 0.15))
            call["status"] = status
            await self.tell({"key": key, "status": status})

    def _recording(self, id: str) -> bytes | None:
        if id not in self.recordings:
            return response(404, {})
        kind, content, length = self.recordings[id]
        said = len(content) if length is None else length
        if self.unannounced:
            pieces = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (content, b""))
            return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + pieces
        return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {said}\r\n\r\n".encode() + content

    def record(self, key: str, content: bytes, *, kind: str = "audio/mpeg", id: str = "rec-1") -> dict[str, Any]:
        """Have a recording of a call; what the provider says of it."""
        self.recordings[id] = (kind, content, None)
        self.calls[key]["recording"] = {"id": id, "sha256": hashlib.sha256(content).hexdigest()}
        return dict(self.calls[key]["recording"])


def response(status: int, content: Any, headers: dict[str, str] | None = None) -> bytes:
    body = json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
