"""The routes of webhooks, and the whole way from one of them to a receiver."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from jobs import database
from jobs.access import service as access
from jobs.settings import get_settings
from tests.domains.conftest import jobs, scalar, until
from tests.domains.receiver import Receiver, answer
from workrow.testing import Harness

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.usefixtures("receiver")


async def subscribe(client: httpx.AsyncClient, receiver: Receiver, **more: Any) -> dict[str, Any]:
    made = await client.post("/webhooks/subscriptions", json={"url": receiver.url, "events": ["user.left"], **more})
    assert made.status_code == 201
    return dict(made.json())


async def tell(client: httpx.AsyncClient, **data: Any) -> dict[str, Any]:
    told = await client.post("/webhooks/events", json={"type": "user.left", "data": data})
    assert told.status_code == 202
    return dict(told.json())


async def test_a_secret_is_shown_when_it_is_made_and_never_again(
    client: httpx.AsyncClient, receiver: Receiver, conn: psycopg.Connection[Any]
) -> None:
    made = await subscribe(client, receiver, description="the shop", ordered=True, max_running=3)
    assert made["secret"].startswith("whsec_")
    shown = (await client.get(f"/webhooks/subscriptions/{made['id']}")).json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["active"], shown["ordered"], shown["max_running"], shown["description"]) == (
        True,
        True,
        3,
        "the shop",
    )
    rotated = (await client.post(f"/webhooks/subscriptions/{made['id']}/secret", json={"overlap_hours": 0})).json()
    assert rotated["secret"] not in ("", made["secret"])
    listed = await client.get("/webhooks/subscriptions")
    assert "secret" not in listed.text.replace("webhooks", "")
    seen = [job["args"] for job in jobs(conn, "webhooks.%")]
    assert seen == [{"subscription_id": made["id"]}]
    log = conn.execute("SELECT action, details::text FROM audit_events ORDER BY id").fetchall()
    assert [action for action, _ in log] == ["webhooks.created", "webhooks.secret_rotated"]
    assert not [details for _, details in log if "whsec_" in details]


async def test_the_log_of_events_says_whose_key_it_was(
    client: httpx.AsyncClient, receiver: Receiver, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    id = (await subscribe(client, receiver))["id"]
    monkeypatch.delenv("WORKROW_API_KEYS")
    get_settings.cache_clear()
    async with database.session() as session, session.begin():
        key = await access.create(session, "crm", ["webhooks:write"])
    bearer = {"Authorization": f"Bearer {key}"}
    off = await client.patch(f"/webhooks/subscriptions/{id}", json={"active": False}, headers=bearer)
    assert off.status_code == 200
    log = conn.execute("SELECT actor, action FROM audit_events WHERE action LIKE 'webhooks.%' ORDER BY id").fetchall()
    assert log == [("api", "webhooks.created"), ("key:crm", "webhooks.changed")]
    assert (await client.delete(f"/webhooks/subscriptions/{id}")).status_code == 401


async def test_subscriptions_are_listed_page_by_page(client: httpx.AsyncClient, receiver: Receiver) -> None:
    ids = [(await subscribe(client, receiver))["id"] for _ in range(3)]
    first = (await client.get("/webhooks/subscriptions", params={"limit": 2})).json()
    last = (await client.get("/webhooks/subscriptions", params={"limit": 2, "after": first["next"]})).json()
    assert [each["id"] for each in first["subscriptions"] + last["subscriptions"]] == ids
    assert last["next"] is None


async def test_a_subscription_is_changed_switched_off_and_on_and_deleted(
    client: httpx.AsyncClient, receiver: Receiver, conn: psycopg.Connection[Any]
) -> None:
    path = f"/webhooks/subscriptions/{(await subscribe(client, receiver))['id']}"
    changed = (await client.patch(path, json={"events": ["b", "a", "a"], "ordered": True, "max_running": 9})).json()
    assert (changed["events"], changed["ordered"], changed["max_running"]) == (["a", "b"], True, 9)
    assert changed["url"] == receiver.url
    off = (await client.patch(path, json={"active": False})).json()
    assert (off["active"], off["disabled_reason"]) == (False, "switched off")
    on = (await client.patch(path, json={"active": True})).json()
    assert (on["active"], on["disabled_at"], on["disabled_reason"]) == (True, None, None)
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).json() == {"detail": f"there is no webhook subscription {path.rpartition('/')[2]}"}
    assert scalar(conn, "SELECT count(*) FROM webhook_subscriptions") == 0
    assert [job["task"] for job in jobs(conn, "webhooks.%")] == ["webhooks.apply_concurrency"] * 3


async def test_the_way_of_a_delivery_can_be_seen(
    client: httpx.AsyncClient, receiver: Receiver, workrow_jobs: Harness
) -> None:
    id = (await subscribe(client, receiver))["id"]
    receiver.answers = [answer(500, "<h1>oops</h1>")]
    event = await tell(client, n=1)
    await tell(client, n=2)
    await workrow_jobs.drain(raise_on_failure=False)
    page = (await client.get("/webhooks/deliveries", params={"subscription_id": id, "limit": 1})).json()
    rest = (await client.get("/webhooks/deliveries", params={"before": page["next"]})).json()
    assert [each["status"] for each in page["deliveries"] + rest["deliveries"]] == ["delivered", "pending"]
    pending = (await client.get("/webhooks/deliveries", params={"status": "pending"})).json()["deliveries"]
    assert [each["event_id"] for each in pending] == [event["id"]]
    shown = (await client.get(f"/webhooks/deliveries/{pending[0]['id']}")).json()
    assert shown["body"].encode() == receiver.received[0].body
    (attempt,) = shown["log"]
    assert (attempt["number"], attempt["status_code"]) == (1, 500)
    assert (attempt["error"], attempt["snippet"]) == ("500 Internal Server Error", "<h1>oops</h1>")
    job = (await client.get(f"/jobs/{shown['job_id']}")).json()
    assert (job["task"], job["status"], job["error"]) == ("webhooks.deliver", "todo", "500 Internal Server Error")


async def test_deliveries_are_replayed_by_routes(
    client: httpx.AsyncClient, receiver: Receiver, workrow_jobs: Harness
) -> None:
    id = (await subscribe(client, receiver))["id"]
    receiver.answers = [answer(410)]
    for n in range(2):
        await tell(client, n=n)
    (delivery, other) = (await client.get("/webhooks/deliveries")).json()["deliveries"][::-1]
    busy = await client.post(f"/webhooks/deliveries/{delivery['id']}/replay")
    assert (busy.status_code, busy.json()["detail"][:10]) == (409, "delivery 1")
    await workrow_jobs.drain(raise_on_failure=False)
    since = {"since": (datetime.now(UTC) - timedelta(days=1)).isoformat()}
    for path in (f"/webhooks/deliveries/{delivery['id']}/replay", f"/webhooks/subscriptions/{id}/replay"):
        off = await client.post(path, json=since)
        assert (off.status_code, "is disabled (the receiver answered 410 Gone)" in off.text) == (409, True)
    await client.patch(f"/webhooks/subscriptions/{id}", json={"active": True})
    again = await client.post(f"/webhooks/deliveries/{delivery['id']}/replay")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    job = (await client.post(f"/webhooks/subscriptions/{id}/replay", json=since)).json()["job"]
    await workrow_jobs.drain()
    assert (await client.get(f"/jobs/{job}")).json()["result"] == 1  # the other one
    found = (await client.get("/webhooks/deliveries")).json()["deliveries"]
    assert {each["id"]: each["status"] for each in found} == {delivery["id"]: "delivered", other["id"]: "delivered"}


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"url": "https://127.0.0.2.nip.invalid:0/"}, "a port is a number"),
    ({"url": "https://10.0.0.1/"}, "10.0.0.1 leads to 10.0.0.1, which is not on the public internet"),
    ({"url": "http://[::ffff:169.254.169.254]/"}, "not on the public internet"),
    ({"url": "gopher://example.org"}, "begins with https:// or http://"),
    ({"url": "\ud800"}, "no URL|valid"),
    ({"url": None, "events": None}, "valid string"),
    ({"events": []}, "name 1 to 100 types"),
    ({"events": ["User Left"]}, "event type 'User Left'"),
    ({"max_running": 0}, "greater than or equal to 1"),
    ({"max_running": 101}, "less than or equal to 100"),
    ({"description": "x" * 501}, "at most 500"),
    ({"description": "\x00"}, "pattern"),
    ({"secret": "mine"}, "not permitted"),
]


async def test_a_subscription_that_cannot_be_is_422(
    client: httpx.AsyncClient, receiver: Receiver, conn: psycopg.Connection[Any]
) -> None:
    for change, words in IMPOSSIBLE:
        body = json.dumps({"url": receiver.url, "events": ["*"], **change})
        made = await client.post("/webhooks/subscriptions", content=body, headers={"Content-Type": "application/json"})
        assert (made.status_code, bool(re.search(words, made.text))) == (422, True), (change, made.text)
    assert scalar(conn, "SELECT count(*) FROM webhook_subscriptions") == 0
    assert jobs(conn, "webhooks.%") == []


REFUSED: list[tuple[str, str, Any, int]] = [
    ("GET", "/webhooks/subscriptions/7", None, 404),
    ("PATCH", "/webhooks/subscriptions/7", {"active": True}, 404),
    ("DELETE", "/webhooks/subscriptions/7", None, 404),
    ("POST", "/webhooks/subscriptions/7/secret", None, 404),
    ("POST", "/webhooks/subscriptions/7/secret", {"overlap_hours": -1}, 422),
    ("POST", "/webhooks/subscriptions/7/replay", {"since": "2027-01-01T00:00:00Z"}, 404),
    ("POST", "/webhooks/subscriptions/7/replay", {"since": "2027-01-01T00:00:00"}, 422),
    ("GET", "/webhooks/deliveries/7", None, 404),
    ("POST", "/webhooks/deliveries/7/replay", None, 404),
    ("GET", "/webhooks/deliveries?status=lost", None, 422),
    ("GET", f"/webhooks/deliveries/{2**63}", None, 422),
    ("POST", "/webhooks/events", {"type": "User", "data": {}}, 422),
    ("POST", "/webhooks/events", {"type": "user.left", "data": {"x": "x" * 300_000}}, 422),
]


async def test_what_is_not_there_or_not_possible(client: httpx.AsyncClient) -> None:
    for method, path, body, status in REFUSED:
        answered = await client.request(method, path, json=body)
        assert answered.status_code == status, (method, path, answered.text)


async def test_a_refusal_may_quote_half_a_character(client: httpx.AsyncClient) -> None:
    body, headers = rb'{"type": "user.\ud800", "data": {"x": "x"}}', {"Content-Type": "application/json"}
    answered = await client.post("/webhooks/events", content=body, headers=headers)
    assert (answered.status_code, answered.json()["detail"].startswith("user.?: ")) == (422, True)


@asynccontextmanager
async def worker() -> AsyncIterator[None]:
    """A worker of the queue, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "jobs.worker", "webhooks", "4", cwd=ROOT, env=dict(os.environ)
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_from_a_request_through_a_worker_to_the_receiver(
    client: httpx.AsyncClient, receiver: Receiver, conn: psycopg.Connection[Any]
) -> None:
    made = await subscribe(client, receiver, ordered=True, max_running=2)
    receiver.answers = [answer(429, Retry_After="1")]
    async with worker():
        events = [await tell(client, n=n) for n in range(5)]
        done = "SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'"
        await until(lambda: bool(scalar(conn, done) == 5))
        limit = "SELECT max_running FROM workrow.limit_rules WHERE source = 'set' AND key = %s"
        await until(lambda: conn.execute(limit, (str(made["id"]),)).fetchall() == [(2,)])
    assert all(request.is_signed_with(made["secret"]) for request in receiver.received)
    # the first one was refused, and nothing went past it
    expected = [events[0]["id"]] + [event["id"] for event in events]
    assert [request.headers["webhook-id"] for request in receiver.received] == expected
