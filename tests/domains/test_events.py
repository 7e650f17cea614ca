"""How a job is doing, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest

import workrow
from jobs import database
from jobs.api import events
from jobs.emails import tasks as emails
from jobs.users.models import User
from tests.domains.conftest import MailServer, scalar, until
from tests.domains.service_process import service

pytestmark = pytest.mark.usefixtures("application")
Event = tuple[str, dict[str, Any]]


@pytest.fixture(autouse=True)
async def nobody_looks_after_the_test(application: workrow.App) -> AsyncIterator[None]:
    yield
    await events.WATCH.close()


async def a_job() -> int:
    async with database.session() as session, session.begin():
        user = User(name="Ada", email="ada@example.com")
        session.add(user)
        await session.flush()
        return (await emails.send_welcome.enqueue(session, user_id=user.id)).id


@asynccontextmanager
async def listening(url: str, job_id: int) -> AsyncIterator[AsyncIterator[Event]]:
    async with (
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
        client.stream("GET", f"{url}/jobs/{job_id}/events") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield read(answer)


async def read(answer: httpx.Response) -> AsyncIterator[Event]:
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_a_stream_tells_each_change_and_ends_with_the_job(
    conn: psycopg.Connection[Any], mail: MailServer, work: Any
) -> None:
    job_id = await a_job()
    with service() as url:
        async with listening(url, job_id) as told:
            assert (await anext(told))[1]["status"] == "todo"
            conn.execute('UPDATE procrastinate_jobs SET progress = \'{"done": 1, "total": 2}\'')
            name, job = await anext(told)
            assert (name, job["progress"]) == ("job", {"done": 1, "total": 2})
            await work()
            *_, (name, job) = [each async for each in told]  # until the service ends it
            assert (name, job["status"], job["result"]["recipient"]) == ("end", "succeeded", "ada@example.com")


async def test_two_hundred_listeners_need_no_connection_each(
    conn: psycopg.Connection[Any], mail: MailServer, work: Any
) -> None:
    job_id = await a_job()
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    limits = httpx.Limits(max_connections=None)
    there = 0

    async def listen(client: httpx.AsyncClient, url: str) -> list[str]:
        nonlocal there
        async with client.stream("GET", url) as answer:
            told = read(answer)
            await anext(told)
            there += 1
            return [name async for name, _ in told]

    with service() as url:
        async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
            before = scalar(conn, query)
            listeners = [asyncio.create_task(listen(client, f"{url}/jobs/{job_id}/events")) for _ in range(200)]
            await until(lambda: there == 200, seconds=60)
            most = scalar(conn, query)
            assert not any(each.done() for each in listeners)
            await work()
            heard = await asyncio.gather(*listeners)
    assert {names.count("end") for names in heard} == {1}
    assert most - before <= 20  # the service's pool, whatever the number of listeners


async def test_the_stream_of_a_job_that_has_ended_ends_at_once_and_is_not_asked_for_again(
    client: httpx.AsyncClient, mail: MailServer, work: Any
) -> None:
    job_id = await a_job()
    await work()
    answer = await client.get(f"/jobs/{job_id}/events")
    assert answer.text.startswith("event: end\nid: end\ndata: {")
    again = await client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": "end"})
    assert (again.status_code, again.content) == (204, b"")


async def test_silence_is_filled_with_comments_and_a_stream_is_bounded(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.1)
    monkeypatch.setattr(events, "LONGEST", 1.0)
    answer = await client.get(f"/jobs/{await a_job()}/events")
    assert answer.text.count("event: job") == 1
    assert answer.text.count(": nothing new\n\n") >= 2


async def test_a_job_that_is_deleted_is_told(client: httpx.AsyncClient, conn: psycopg.Connection[Any]) -> None:
    listening = asyncio.create_task(client.get(f"/jobs/{await a_job()}/events"))
    await until(lambda: bool(events.WATCH._listeners))
    conn.execute("DELETE FROM procrastinate_jobs")
    assert (await listening).text.endswith("event: gone\nid: end\ndata: {}\n\n")


async def test_a_database_that_is_away_for_a_moment_loses_nobody(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any], mail: MailServer, work: Any
) -> None:
    listening = asyncio.create_task(client.get(f"/jobs/{await a_job()}/events"))
    await until(lambda: bool(events.WATCH._listeners))
    for _ in range(3):
        await asyncio.sleep(0.1)
        conn.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = ''"""
        )
    await work()
    assert "event: end" in (await listening).text


async def test_too_many_listeners_are_503_and_no_job_is_404(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.get("/jobs/1/events")).status_code == 404
    monkeypatch.setattr(events, "MOST", 0)
    answer = await client.get(f"/jobs/{await a_job()}/events")
    assert answer.status_code == 503
    assert "0 listen already" in answer.json()["detail"]


async def test_who_leaves_is_forgotten(mail: MailServer) -> None:
    (view,) = (await events.read([await a_job()])).values()
    stream = events.stream(view)
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await until(lambda: bool(events.WATCH._listeners))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert events.WATCH._listeners == {}
