"""Two hundred people are called through a provider that fails now and then, by two workers, of which one is killed."""

import asyncio
import json
import os
import random
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from jobs.calls import tasks
from jobs.webhooks import signing
from tests.domains.conftest import scalar
from tests.domains.provider_server import PROVIDER_SECRET, ProviderServer

ROOT = Path(__file__).parent.parent.parent
TARGETS = 200


@asynccontextmanager
async def worker(name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real worker in a process of its own, killed with -9 at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workrow", "--app=app.app", "worker"),
        *("--name", name, "--queues", "campaigns:40,calls:5"),
        cwd=ROOT,
        env={**os.environ, "WORKROW_LEASE": "2", "WORKROW_CALL_STUCK_AFTER": "2"},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()


@pytest.mark.timeout(280)  # two worker processes on a busy machine
async def test_everybody_is_called_once_and_the_books_balance(
    client: httpx.AsyncClient, provider: ProviderServer, conn: psycopg.Connection[Any]
) -> None:
    dice = random.Random(7)
    provider.flaky, provider.retry_after = random.Random(7), "1"

    async def tell(event: dict[str, Any]) -> None:
        """Now and then twice, or not at all: then the reconciler has to ask."""
        content = json.dumps(event).encode()
        headers = signing.headers(uuid.uuid4().hex, content, [PROVIDER_SECRET], datetime.now(UTC))
        for _ in range(dice.choice([1] * 18 + [0, 2])):
            answer = await client.post("/provider/events", content=content, headers=headers)
            assert answer.status_code == 200, answer.text

    provider.tell = tell
    people = [{"phone": f"+4930{n:06}", "time_zone": "Europe/Berlin"} for n in range(TARGETS)]
    form = {"name": "Everybody", "concurrency": 30, "targets": people}
    campaign = (await client.post("/campaigns", json=form)).json()["id"]
    await client.post(f"/campaigns/{campaign}/start")

    async def state() -> str:
        return str((await client.get(f"/campaigns/{campaign}")).json()["state"])

    async with asyncio.timeout(240), worker("first") as first, worker("second"):
        while len(provider.calls) < TARGETS // 4:
            await asyncio.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        while await state() != "finished":
            await tasks.reconcile.enqueue(None)  # which is due every minute
            await asyncio.sleep(0.5)
    report = (await client.get(f"/campaigns/{campaign}/report")).json()
    outcomes = {name: report[name] for name in ("completed", "failed", "no_answer", "busy", "cancelled", "skipped")}
    assert report["targets"] == sum(outcomes.values()) == TARGETS
    assert set(provider.dialled.values()) == {1}  # no telephone has rung twice
    assert len(provider.calls) == provider.dialled.total() <= TARGETS
    said = [call["status"] for call in provider.calls.values()]
    for name in ("completed", "no_answer", "busy"):
        assert said.count(name) == outcomes[name]
    assert outcomes["cancelled"] == outcomes["skipped"] == 0
    assert (
        scalar(conn, "SELECT count(*) FROM calls WHERE state IN ('scheduled', 'dialing', 'ringing', 'in_progress')")
        == 0
    )
