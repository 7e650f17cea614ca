"""What the provider tells by itself, or only when it is asked; over the real service."""

import base64
import hmac
import json
import time
import uuid
from typing import Any

import httpx
import psycopg
import pytest

import workrow
from jobs.calls import tasks
from jobs.settings import get_settings
from tests.domains.calling import small_app
from tests.domains.conftest import jobs, scalar
from tests.domains.provider_server import PROVIDER_SECRET, ProviderServer
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("provider")
PHONE = "+4930123456"
ORDER = {"phone": PHONE, "time_zone": "Europe/Berlin"}


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    return small_app()


def sign(id: str, timestamp: str, body: bytes, secret: str = PROVIDER_SECRET) -> str:
    """As https://www.standardwebhooks.com says, written down a second time."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return f"v1,{base64.b64encode(hmac.digest(key, f'{id}.{timestamp}.'.encode() + body, 'sha256')).decode()}"


async def tell(client: httpx.AsyncClient, body: Any, *, id: str | None = None, **changed: str) -> httpx.Response:
    """Send an event as the provider does, but for what is changed: id, timestamp, signature."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    id, timestamp = id or uuid.uuid4().hex, changed.get("timestamp", str(int(time.time())))
    signed = changed.get("signature", sign(id, timestamp, content, changed.get("secret", PROVIDER_SECRET)))
    headers = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signed}
    return await client.post("/provider/events", content=content, headers=headers)


@pytest.fixture
async def call(client: httpx.AsyncClient, workrow_jobs: Harness) -> dict[str, Any]:
    """A call that rings."""
    answer = await client.post("/calls", json=ORDER)
    assert answer.status_code == 201
    await workrow_jobs.drain()
    return dict(answer.json())


async def show(client: httpx.AsyncClient, call: dict[str, Any]) -> dict[str, Any]:
    return dict((await client.get(f"/calls/{call['id']}")).json())


async def test_a_call_from_its_order_to_its_end(client: httpx.AsyncClient, call: dict[str, Any]) -> None:
    for status in ("in_progress", "completed"):
        answer = await tell(client, {"key": call["key"], "status": status}, id=f"evt_{status}")
        assert (answer.status_code, answer.json()) == (200, {"outcome": "applied"})
    shown = await show(client, call)
    assert (shown["state"], shown["recording"]) == ("completed", None)
    assert [(change["to_state"], change["cause"]) for change in shown["changes"]][1:] == [
        ("ringing", "the provider's answer"),
        ("in_progress", "event evt_in_progress"),
        ("completed", "event evt_completed"),
    ]


async def test_events_out_of_order_and_twice_have_their_answers(
    client: httpx.AsyncClient, call: dict[str, Any], conn: psycopg.Connection[Any]
) -> None:
    outcomes = []
    for id, status in [
        ("a", "completed"),
        ("b", "in_progress"),
        ("a", "completed"),
        ("b", "in_progress"),
        ("c", "busy"),
    ]:
        outcomes.append((await tell(client, {"key": call["key"], "status": status}, id=id)).json()["outcome"])
    assert outcomes == ["applied", "late", "repeated", "repeated", "late"]
    assert (await show(client, call))["state"] == "completed"
    found = conn.execute("SELECT id, status, applied FROM call_events ORDER BY id").fetchall()
    assert found == [("a", "completed", True), ("b", "in_progress", False), ("c", "busy", False)]


async def test_an_event_may_overtake_the_answer_to_the_order(
    client: httpx.AsyncClient, workrow_jobs: Harness, provider: ProviderServer
) -> None:
    provider.mishaps.append("lost")
    call = (await client.post("/calls", json=ORDER)).json()
    await workrow_jobs.drain(raise_on_failure=False)
    assert (await show(client, call))["state"] == "dialing"
    assert (await tell(client, {"key": call["key"], "status": "completed"})).json() == {"outcome": "applied"}
    await tasks.dial.enqueue(None, call_id=call["id"])
    await workrow_jobs.drain()
    assert (await show(client, call))["state"] == "completed"
    assert provider.dialled == {PHONE: 1}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"secret": "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA=="}, "webhook-signature"),
        ({"signature": ""}, "webhook-signature"),
        ({"signature": "v1,????"}, "webhook-signature"),
        ({"timestamp": str(int(time.time()) - 3600)}, "not within 300 s of our clock"),
        ({"timestamp": str(int(time.time()) + 3600)}, "not within 300 s of our clock"),
        ({"timestamp": "yesterday"}, "cannot be read"),
        ({"timestamp": "9" * 30}, "cannot be read"),
        ({"id": "with a space"}, "cannot be read"),
    ],
)
async def test_a_bad_signature_is_401_and_changes_nothing(
    client: httpx.AsyncClient, call: dict[str, Any], changed: dict[str, str], words: str
) -> None:
    answer = await tell(client, {"key": call["key"], "status": "completed"}, **changed)
    assert answer.status_code == 401
    assert words in answer.json()["detail"]
    assert (await show(client, call))["state"] == "ringing"


async def test_a_signature_is_of_one_body(client: httpx.AsyncClient, call: dict[str, Any]) -> None:
    signed = sign("evt", str(int(time.time())), b'{"status": "busy"}')
    answer = await tell(client, {"key": call["key"], "status": "completed"}, id="evt", signature=signed)
    assert answer.status_code == 401
    both = f"{signed} {sign('evt', timestamp := str(int(time.time())), b'{}')}"
    assert (await tell(client, b"{}", id="evt", timestamp=timestamp, signature=both)).status_code == 422


async def test_without_a_secret_no_event_is_taken(
    client: httpx.AsyncClient, call: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKROW_PROVIDER_SECRET")
    get_settings.cache_clear()
    answer = await tell(client, {"key": call["key"], "status": "completed"})
    assert (answer.status_code, answer.json()["detail"][:23]) == (503, "WORKROW_PROVIDER_SECRET")


async def test_an_event_of_an_unknown_call_is_404_and_may_come_again(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any]
) -> None:
    key = str(uuid.uuid4())
    answer = await tell(client, {"key": key, "status": "completed"}, id="early")
    assert answer.status_code == 404
    assert key in answer.json()["detail"]
    assert scalar(conn, "SELECT count(*) FROM call_events") == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "body: Invalid JSON"),
        (b"\xff\x00", "body"),
        (b"[]", "body"),
        ({"status": "completed"}, "key: Field required"),
        ({"key": "7", "status": "completed"}, "key: Input should be a valid UUID"),
        ({"key": str(uuid.uuid4()), "status": "exploded"}, "status: Input should be 'scheduled'"),
        ({"key": str(uuid.uuid4()), "status": "completed", "recording": {"id": "../x", "sha256": "0"}}, "recording.id"),
    ],
)
async def test_what_is_signed_and_no_event_is_422(client: httpx.AsyncClient, body: Any, words: str) -> None:
    answer = await tell(client, body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


async def test_a_live_event_of_a_call_that_is_over_for_us_has_it_hung_up(
    client: httpx.AsyncClient, call: dict[str, Any], workrow_jobs: Harness, provider: ProviderServer
) -> None:
    await tell(client, {"key": call["key"], "status": "failed"})
    assert (await tell(client, {"key": call["key"], "status": "in_progress"})).json() == {"outcome": "late"}
    await workrow_jobs.drain()
    assert provider.calls[call["key"]]["status"] == "cancelled"
    assert (await show(client, call))["state"] == "failed"


# --- silence


async def test_a_call_of_which_nothing_is_heard_is_asked_for(
    client: httpx.AsyncClient, workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer
) -> None:
    with workrow_clock.at("2027-05-03 12:00") as clock:
        calls = [(await client.post("/calls", json={**ORDER, "phone": f"+4930{n:06}"})).json() for n in range(3)]
        await workrow_jobs.drain()
        answered, silent, gone = calls
        await tell(client, {"key": answered["key"], "status": "completed"}, timestamp=str(int(clock.now().timestamp())))
        del provider.calls[gone["key"]]
        provider.requests.clear()
        await clock.run_for(minutes=1)
        assert provider.requests == []
        provider.calls[silent["key"]]["status"] = "no_answer"
        await clock.run_for(minutes=2)
    assert sorted(provider.requests) == sorted(f"GET /calls/{each['key']}" for each in (silent, gone))
    assert [(await show(client, each))["state"] for each in calls] == ["completed", "no_answer", "failed"]
    assert (await show(client, gone))["changes"][-1]["cause"] == "the provider knows nothing of it"


async def test_a_call_that_lasts_is_asked_for_now_and_then(
    client: httpx.AsyncClient, workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer
) -> None:
    with workrow_clock.at("2027-05-03 12:00") as clock:
        call = (await client.post("/calls", json=ORDER)).json()
        await workrow_jobs.drain()
        provider.requests.clear()
        await clock.run_for(minutes=10)
    assert 2 <= len(provider.requests) <= 5
    assert (await show(client, call))["state"] == "ringing"


async def test_what_waits_to_be_dialled_again_is_not_given_up(
    client: httpx.AsyncClient, workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer
) -> None:
    provider.mishaps.append("429")
    provider.retry_after = "900"
    with workrow_clock.at("2027-05-03 12:00") as clock:
        call = (await client.post("/calls", json=ORDER)).json()
        await clock.run_for(minutes=10)
        assert (await show(client, call))["state"] == "dialing"
        await clock.run_for(minutes=10)
    assert (await show(client, call))["state"] == "ringing"
    assert provider.dialled == {PHONE: 1}


async def test_what_nobody_will_dial_any_more_has_failed(
    client: httpx.AsyncClient, workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer
) -> None:
    provider.mishaps.extend(["garbage"] * 9)
    with workrow_clock.at("2027-05-03 12:00") as clock:
        call = (await client.post("/calls", json=ORDER)).json()
        await clock.run_for(minutes=6, raise_on_failure=False)
    shown = await show(client, call)
    assert shown["changes"][-1] == {**shown["changes"][-1], "to_state": "failed", "from_state": "dialing"}
    assert provider.dialled == {}


# --- the routes


@pytest.mark.parametrize(
    ("form", "where"),
    [
        ({}, "phone"),
        ({**ORDER, "phone": "030-1"}, "phone"),
        ({**ORDER, "time_zone": "Moon/Tranquility"}, "time_zone"),
        ({**ORDER, "at": "2027-05-03T12:00:00"}, "at"),
        ({**ORDER, "lead_id": 0}, "lead_id"),
        ({**ORDER, "lead_id": 2**63}, "lead_id"),
        ({**ORDER, "key": "mine"}, "key"),
        ({**ORDER, "fone": "+4930"}, "fone"),
    ],
)
async def test_a_bad_order_is_422_and_leaves_nothing(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any], form: dict[str, Any], where: str
) -> None:
    answer = await client.post("/calls", json=form)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", where]
    assert jobs(conn, "calls.%") == []


async def test_a_lead_that_does_not_exist_is_404(client: httpx.AsyncClient, conn: psycopg.Connection[Any]) -> None:
    answer = await client.post("/calls", json={**ORDER, "lead_id": 99})
    assert (answer.status_code, answer.json()["detail"]) == (404, "there is no lead 99")
    assert scalar(conn, "SELECT count(*) FROM calls") == 0


async def test_a_time_in_the_past_is_422(client: httpx.AsyncClient) -> None:
    answer = await client.post("/calls", json={**ORDER, "at": "2020-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["detail"][:7]) == (422, "at=2020")


async def test_the_same_key_is_200_and_the_same_call(client: httpx.AsyncClient, call: dict[str, Any]) -> None:
    again = await client.post("/calls", json={**ORDER, "key": call["key"]})
    assert (again.status_code, again.json()["id"]) == (200, call["id"])
    other = await client.post("/calls", json={**ORDER, "phone": "+4930999999", "key": call["key"]})
    assert other.status_code == 409


async def test_cancelling_over_http(client: httpx.AsyncClient, call: dict[str, Any], workrow_jobs: Harness) -> None:
    answer = await client.post(f"/calls/{call['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "ringing")
    await workrow_jobs.drain()
    assert (await show(client, call))["state"] == "cancelled"
    await tell(client, {"key": call["key"], "status": "completed"})
    assert (await client.post(f"/calls/{call['id']}/cancel")).status_code == 202  # it is what was asked for
    for path in ("/calls/99", "/calls/0"):
        assert (await client.get(path)).status_code in (404, 422)
        assert (await client.post(f"{path}/cancel")).status_code in (404, 422)
