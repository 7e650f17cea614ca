"""Webhooks, for the workload ``application``. The database is that of DATABASE_URL.

``receive``: a receiver, which answers 200 at once; prints its URL and runs until it is stopped.
``ours URL DELIVERIES SUBSCRIPTIONS``: publish, and wait for the last delivery; a worker runs elsewhere.
``raw URL DELIVERIES REQUESTS``: post the same messages with httpx, so many at the same time.
As the other clients (`benchmarks.programs.protocol`) the last two print "ready", wait for a line, and report as JSON.
"""

import asyncio
import json
import sys
import time

import httpx

from benchmarks.programs.waiting import ready, until
from jobs import database
from jobs.bootstrap import create_app
from jobs.webhooks import subscriptions
from jobs.webhooks.publishing import publish_many

TYPE = "lead.qualified"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver(asyncio.Protocol):
    """One connection; it is kept as long as the sender likes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            self._read = b""
            self._transport.write(OK)


async def receive() -> None:
    """Until somebody stops it."""
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", flush=True)
    await server.serve_forever()


async def ours(url: str, count: int, listeners: int) -> None:
    """From before the events are published to the last delivery that is written down as delivered."""

    async def publish(events: int) -> None:
        async with database.session() as session, session.begin():
            await publish_many(session, TYPE, ({"lead_id": number, "score": 60} for number in range(events)))

    app = create_app()
    async with app.open_async():
        for _ in range(listeners):
            async with database.session() as session, session.begin():
                await subscriptions.create(
                    session, url=url, events=[TYPE], description="", ordered=False, max_running=5, actor="benchmark"
                )
        await publish(10)
        done = f"SELECT NOT EXISTS (SELECT FROM webhook_deliveries WHERE status = 'pending') AND count(*) = {listeners}"
        await until(f"{done} * 10 FROM webhook_deliveries WHERE status = 'delivered'")
        begun = ready()
        await publish(count // listeners)
        await until(f"{done} * {10 + count // listeners} FROM webhook_deliveries WHERE status = 'delivered'")
        print(json.dumps({"begun": begun, "ended": time.time()}), flush=True)
    await database.engine().dispose()


async def raw(url: str, count: int, requests: int) -> None:
    """What httpx takes of one process, with its usual client, which keeps its connections."""
    numbers = iter(range(count))

    async def post(client: httpx.AsyncClient) -> None:
        for number in numbers:
            body = {"type": TYPE, "timestamp": "2027-01-31T12:00:00+00:00", "data": {"lead_id": number, "score": 60}}
            (await client.post(url, json=body)).raise_for_status()

    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(url, json={})
        begun = ready()
        await asyncio.gather(*(post(client) for _ in range(requests)))
        print(json.dumps({"begun": begun, "ended": time.time()}), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["receive"]:
            asyncio.run(receive())
        case ["ours", url, deliveries, listeners]:
            asyncio.run(ours(url, int(deliveries), int(listeners)))
        case ["raw", url, deliveries, requests]:
            asyncio.run(raw(url, int(deliveries), int(requests)))
        case other:
            sys.exit(f"{other}: receive, ours URL DELIVERIES SUBSCRIPTIONS or raw URL DELIVERIES REQUESTS")
