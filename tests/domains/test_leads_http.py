"""Leads over HTTP, and imports in worker processes that are killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from jobs.settings import get_settings
from tests.domains.conftest import jobs, scalar, until
from tests.domains.leads import file_of, people, start

ROOT = Path(__file__).parents[2]
Conn = psycopg.Connection[Any]
Work = Callable[[], Awaitable[None]]
FILE = file_of("Name;E-mail;Tel;Shoe size", "Ada King;ada@firm.example;+442079460018;37", "Bob;bob;;")


async def test_a_file_is_uploaded_and_its_import_watched(client: httpx.AsyncClient, work: Work) -> None:
    answer = await client.post("/leads/imports", params={"name": "fair.csv", "source": "referral"}, content=FILE)
    assert answer.status_code == 202
    sent = answer.json()
    assert (sent["name"], sent["state"], sent["rows"], sent["position"]) == ("fair.csv", "running", 0, 0)
    await work()
    done = (await client.get(answer.headers["Location"])).json()
    told = ("state", "rows", "imported", "merged", "refused", "errors", "encoding", "delimiter", "ignored_columns")
    assert [done[name] for name in told] == ["done", 2, 1, 0, 1, 1, "UTF-8", ";", ["Shoe size"]]
    assert done["columns"] == {"name": "Name", "email": "E-mail", "phone": "Tel"}
    assert (await client.get("/leads/imports")).json() == [done]
    (error,) = (await client.get(f"/leads/imports/{sent['id']}/errors")).json()
    assert (error["row"], error["column"], error["value"]) == (3, "E-mail", "bob")
    assert error["problem"].startswith("no e-mail address: ")
    assert error["fix"] == "write it as ada@example.com"
    for after in (error["number"], 2**31, 2**63 - 1):
        assert (await client.get(f"/leads/imports/{sent['id']}/errors", params={"after": after})).json() == []
    assert (await client.get(f"/jobs/{sent['job_id']}")).json()["status"] == "succeeded"
    again = await client.post("/leads/imports", content=FILE)
    assert (again.status_code, again.json()) == (200, done)


async def test_a_client_that_goes_away_in_the_middle_is_no_error_of_the_service(
    client: httpx.AsyncClient, conn: Conn
) -> None:
    from jobs.api import api

    messages = iter([{"type": "http.request", "body": b"email", "more_body": True}, {"type": "http.disconnect"}])
    scope = {"type": "http", "method": "POST", "path": "/leads/imports", "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None: ...

    await api(scope, receive, send)  # what it raised, the server would log as an error
    assert scalar(conn, "SELECT count(*) FROM lead_imports") == 0


async def test_an_upload_in_pieces(client: httpx.AsyncClient, conn: Conn) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in FILE:
            yield bytes([byte])

    assert (await client.post("/leads/imports", content=pieces())).status_code == 202
    assert scalar(conn, "SELECT content FROM lead_import_chunks") == FILE


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "the file is empty"),
        (b"x" * 2000, 413, "the file has more than 1,024 bytes"),
        (b"colour\nred\n", 422, "no column is an e-mail or a phone"),
        (b"PK\x03\x04" + bytes(100), 422, "an Excel workbook"),
    ],
)
async def test_a_file_that_is_refused_leaves_nothing(
    client: httpx.AsyncClient, conn: Conn, monkeypatch: pytest.MonkeyPatch, content: bytes, status: int, words: str
) -> None:
    monkeypatch.setenv("WORKROW_LEAD_IMPORT_MAX_BYTES", "1024")
    get_settings.cache_clear()
    answer = await client.post("/leads/imports", content=content)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert scalar(conn, "SELECT count(*) FROM lead_imports") == 0
    assert jobs(conn, "leads.%") == []


async def test_leads_are_found_changed_and_tagged(client: httpx.AsyncClient, work: Work) -> None:
    await client.post("/leads/imports", content=people(5))
    await work()
    first, second, *_ = (await client.get("/leads")).json()
    assert (first["email"], first["score"], first["status"]) == ("ada0@firm0.example", 70, "qualified")
    assert [reason["points"] for reason in first["reasons"]] == [25, 20, 15, 10]
    page = await client.get(
        "/leads", params={"after": second["id"], "limit": 2, "status": "qualified", "min_score": 70}
    )
    assert [each["email"] for each in page.json()] == ["ada2@firm2.example", "ada3@firm3.example"]
    assert (await client.get("/leads", params={"min_score": 71})).json() == []

    here = f"/leads/{first['id']}"
    changed = (await client.patch(here, json={"phone": "020 7946 0018", "country": "uk", "company": None})).json()
    told = ("phone", "country", "time_zone", "company", "score", "name")
    assert [changed[name] for name in told] == ["+442079460018", "GB", "Europe/London", None, 60, "Ada 0"]
    await client.patch(here, json={"status": "won"})
    tagged = (await client.post(f"{here}/tags", json={"add": ["VIP", "eu"], "remove": ["eu"]})).json()
    assert (tagged["tags"], tagged["status"]) == (["vip"], "won")
    assert [each["id"] for each in (await client.get("/leads", params={"tag": "Vip"})).json()] == [first["id"]]
    assert (await client.get(here)).json() == tagged

    answer = await client.patch(here, json={"email": second["email"]})
    assert (answer.status_code, answer.json()["detail"][-9:]) == (409, f"of lead {second['id']}")
    assert (await client.get(here)).json() == tagged


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"email": "ada"}, 422, "no e-mail address"),
        ({"phone": "123", "country": "US"}, 422, "no such number in the numbering plan of +1"),
        ({"phone": "what"}, 422, "no phone number"),
        ({"country": "Atlantis"}, 422, "no country"),
        ({"time_zone": "Mars"}, 422, "no time zone"),
        ({"name": "A\0da"}, 422, "NUL"),
        ({"status": "lost?"}, 422, "lost"),
        ({"status": None}, 422, "status"),
        ({"emial": "ada@example.com"}, 422, "emial"),
        ({"email": None, "phone": None}, 422, "leave one of them"),
        ({"email": "", "phone": " "}, 422, "leave one of them"),
    ],
)
async def test_a_change_that_cannot_be(
    client: httpx.AsyncClient, work: Work, conn: Conn, form: dict[str, Any], status: int, words: str
) -> None:
    await client.post("/leads/imports", content=FILE)
    await work()
    (before,) = (await client.get("/leads")).json()
    answer = await client.patch(f"/leads/{before['id']}", json=form)
    assert answer.status_code == status
    assert words in str(answer.json()["detail"])
    assert (await client.get("/leads")).json() == [before]


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("PATCH", "", '{"name": "A\\ud800da"}'),
        ("POST", "/tags", '{"add": ["A\\udfffda"]}'),
        ("POST", "/tags", '{"remove": ["\\ud800"]}'),
    ],
)
async def test_half_a_character_is_refused(
    client: httpx.AsyncClient, work: Work, method: str, path: str, form: str
) -> None:
    await client.post("/leads/imports", content=FILE)
    await work()
    (before,) = (await client.get("/leads")).json()
    headers = {"Content-Type": "application/json"}
    answer = await client.request(method, f"/leads/{before['id']}{path}", content=form, headers=headers)
    assert (answer.status_code, "half a character" in answer.text) == (422, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/leads/1", 404),
        ("PATCH", "/leads/1", 404),
        ("POST", "/leads/1/tags", 404),
        ("GET", "/leads/imports/1", 404),
        ("GET", "/leads/imports/1/errors", 404),
        ("GET", "/leads/0", 422),
        ("GET", "/leads/abc", 422),
        ("GET", "/leads?limit=0", 422),
        ("GET", "/leads?tag=%00", 422),
        ("GET", "/leads?status=odd", 422),
    ],
)
async def test_what_is_not_there(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path, json={} if method != "GET" else None)
    assert answer.status_code == status


async def test_a_rescoring_that_is_asked_twice_is_one_job(client: httpx.AsyncClient, conn: Conn, work: Work) -> None:
    first, second = [(await client.post("/leads/rescore")).json() for _ in range(2)]
    assert first == second
    await work()
    assert (await client.get(f"/jobs/{first['job_id']}")).json()["status"] == "succeeded"


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of the application; killed with -9 at the end of the block, if not before."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        cwd=ROOT,
        env=dict(os.environ),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGKILL)
        await started.communicate()


WORKER = ("procrastinate", "--app=app.app", "worker")


async def test_a_worker_killed_in_the_middle_of_an_import_leaves_each_row_once(
    environment: dict[str, str], application: Any, conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_LEASE", "2")
    await start(people(20_000) + b"Eve,nobody,,\nAda,ada7@firm7.example,,\n")
    async with process(*WORKER) as worker:
        await until(lambda: scalar(conn, "SELECT position FROM lead_imports") > 0, seconds=60)
        os.kill(worker.pid, signal.SIGKILL)
        await worker.wait()
    position, imported = conn.execute("SELECT position, imported FROM lead_imports").fetchall()[0]
    assert 1 < position < 20_000
    assert scalar(conn, "SELECT count(*) FROM leads") == imported == position - 1

    async with process(*WORKER):
        await until(lambda: scalar(conn, "SELECT state FROM lead_imports") == "done", seconds=60)
        await until(lambda: scalar(conn, "SELECT count(*) FROM leads WHERE rules_version = 0") == 0, seconds=60)
    books = conn.execute("SELECT imported, merged, refused, errors FROM lead_imports").fetchall()
    assert books == [(20_000, 1, 1, 1)]
    assert scalar(conn, "SELECT count(DISTINCT email) FROM leads") == 20_000
    assert scalar(conn, "SELECT count(*) FROM lead_import_errors") == 1


async def test_from_http_through_a_worker_to_scored_leads(environment: dict[str, str], conn: Conn) -> None:
    async with process("uvicorn", "jobs.api:api", "--port=0", "--log-level=info") as service, process(*WORKER):
        assert service.stderr is not None
        async for line in service.stderr:
            if b"running on http" in line:
                url = line.decode().split(" on ")[1].split()[0]
                break
        async with httpx.AsyncClient(base_url=url) as client:
            sent = await client.post("/leads/imports", content=people(3_000) + b"Eve,nobody,,\n")
            assert sent.status_code == 202
            await until(lambda: scalar(conn, "SELECT state FROM lead_imports") == "done", seconds=60)
            await until(lambda: scalar(conn, "SELECT count(*) FROM leads WHERE rules_version = 0") == 0, seconds=60)
            done = (await client.get(sent.headers["Location"])).json()
            assert (done["rows"], done["imported"], done["refused"]) == (3_001, 3_000, 1)
            job = (await client.get(f"/jobs/{done['job_id']}")).json()
            assert job["result"] == {"imported": 3_000, "merged": 0, "refused": 1}
            last = (await client.get("/leads", params={"min_score": 70, "limit": 1, "after": 0})).json()[0]
            assert last["status"] == "qualified"
