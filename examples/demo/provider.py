"""`python -m examples.demo.provider --port N --tell URL`: makes calls, and fails now and then.

Of the orders some get 503, some 429, and of some the answer is lost after the call was made. People pick up, or not,
and each step is told to the service by a signed event, some of which come twice. ``GET /books`` says whom it called.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import time
import uuid
from collections import Counter
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

BUSY, AWAY, LOST, TWICE = 0.02, 0.05, 0.03, 0.05
"""Parts of the orders and of the events."""
ENDS = ("completed",) * 6 + ("no_answer",) * 2 + ("busy", "failed")


class Provider:
    """A telephone company.

    Args:
        events: the URL where the service takes events.
        secret: that signs them.
    """

    def __init__(self, events: str, secret: str) -> None:
        self._events = events
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._dice = random.Random(7)
        self._calls: dict[str, str] = {}
        self._dialled: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._stories: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(timeout=30.0, trust_env=False)

    async def place(self, request: Request) -> Response:
        """An order; the same key is the same call."""
        order = await request.json()
        fate = self._dice.random()
        if fate < BUSY:
            self._refused["429"] += 1
            return Response(status_code=429, headers={"Retry-After": "1"})
        if fate < BUSY + AWAY:
            self._refused["503"] += 1
            return Response(status_code=503)
        key = order["key"]
        if key not in self._calls:
            self._dialled[order["to"]] += 1
            self._calls[key] = "dialing"
            story = asyncio.create_task(self._story(key))
            self._stories.add(story)
            story.add_done_callback(self._stories.discard)
        if fate < BUSY + AWAY + LOST:
            self._refused["answer lost"] += 1
            return Response(status_code=500)
        return JSONResponse({"status": self._calls[key]}, 201)

    async def find(self, request: Request) -> Response:
        """What has become of a call."""
        status = self._calls.get(request.path_params["key"])
        return JSONResponse({"status": status}) if status else Response(status_code=404)

    async def hang_up(self, request: Request) -> Response:
        """Too late, always: calls are short here."""
        return Response(status_code=409)

    async def books(self, _: Request) -> Response:
        """Who was called how often, how each call ended, and what went wrong on purpose."""
        return JSONResponse({"dialled": self._dialled, "calls": self._calls, "refused": self._refused})

    async def _story(self, key: str) -> None:
        end = self._dice.choice(ENDS)
        for status in ("ringing", "in_progress", end) if end == "completed" else ("ringing", end):
            await asyncio.sleep(self._dice.uniform(0.05, 0.4))
            self._calls[key] = status
            event = str(uuid.uuid4()), json.dumps({"key": key, "status": status}).encode()
            for _ in range(2 if self._dice.random() < TWICE else 1):
                await self._tell(*event)

    async def _tell(self, id: str, body: bytes) -> None:
        answer: Any = None
        while answer is None or answer.status_code >= 400:  # not known yet, or away: later
            at = str(int(time.time()))
            signed = hmac.digest(self._key, b".".join((id.encode(), at.encode(), body)), hashlib.sha256)
            signature = f"v1,{base64.b64encode(signed).decode()}"
            headers = {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": signature}
            try:
                answer = await self._client.post(self._events, content=body, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(0.5)
            else:
                await asyncio.sleep(0.2 if answer.status_code >= 400 else 0)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo.provider")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tell", required=True, help="where events go")
    options = parser.parse_args()
    provider = Provider(options.tell, os.environ["WORKROW_PROVIDER_SECRET"])
    routes = [
        Route("/calls", provider.place, methods=["POST"]),
        Route("/calls/{key}", provider.find),
        Route("/calls/{key}/hangup", provider.hang_up, methods=["POST"]),
        Route("/books", provider.books),
    ]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
