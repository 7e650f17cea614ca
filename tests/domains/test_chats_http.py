"""Chats over HTTP: what is answered, and that a worker in a process of its own brings it to its place."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.domains.cached import Conn, crash
from tests.domains.chatting import a_user, place
from tests.domains.conftest import jobs, scalar, until

ROOT = Path(__file__).parent.parent.parent


@asynccontextmanager
async def worker() -> AsyncIterator[None]:
    command = (sys.executable, "-m", "jobs.worker", "chats", "4")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=dict(os.environ), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def opened(client: httpx.AsyncClient) -> tuple[str, int]:
    """The URL of a new chat, and its user."""
    user = await a_user()
    answer = await client.post("/chats", json={"user_id": user, "title": "  Where is   my parcel? "})
    assert (answer.status_code, answer.json()["title"]) == (201, "Where is my parcel?")
    return f"/chats/{answer.json()['id']}", user


def saying(user: int, text: str = "hello", client_id: uuid.UUID | None = None) -> dict[str, Any]:
    return {"client_id": str(client_id or uuid.uuid4()), "sender_id": user, "text": text}


async def test_from_http_through_a_worker_to_the_rows(client: httpx.AsyncClient, conn: Conn) -> None:
    chat, user = await opened(client)
    for n in range(20):
        assert (await client.post(f"{chat}/messages", json=saying(user, f"message {n}"))).status_code == 201
    for version in range(1, 6):
        answer = await client.put(f"{chat}/drafts/{user}", json={"version": version, "text": f"draft {version}"})
        assert answer.status_code == 200
    crash(conn)
    async with worker():
        await until(lambda: scalar(conn, "SELECT count(*) FROM messages") == 20, seconds=60)
        await until(lambda: place(conn, "drafts", "version, text") == [(5, "draft 5")], seconds=60)
    assert place(conn, "messages") == [f"message {n}" for n in range(20)]
    assert place(conn, "unsaved_messages") == place(conn, "unsaved_drafts") == []
    assert {job["status"] for job in jobs(conn, "chats.persist%")} == {"succeeded"}
    page = (await client.get(f"{chat}/messages", params={"limit": 3})).json()
    assert [message["text"] for message in page["messages"]] == ["message 19", "message 18", "message 17"]
    assert (await client.get("/chats", params={"user_id": user})).json()[0]["last_message_at"] is not None


async def test_messages(client: httpx.AsyncClient) -> None:
    chat, user = await opened(client)
    form = saying(user)
    first = await client.post(f"{chat}/messages", json=form)
    again = await client.post(f"{chat}/messages", json=form)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = await client.post(f"{chat}/messages", json={**form, "text": "another"})
    assert other.status_code == 409
    assert other.json()["detail"].endswith("another text or sender: give it another id")
    others = [await client.post(f"{chat}/messages", json=saying(user, str(n))) for n in range(4)]
    ids = [answer.json()["id"] for answer in (first, *others)]

    seen, page = list[int](), {"limit": 2}
    while True:
        found = (await client.get(f"{chat}/messages", params=page)).json()
        seen += [message["id"] for message in found["messages"]]
        if found["before"] is None:
            break
        page["before"] = found["before"]
    assert seen == ids[::-1]

    assert (await client.delete(f"{chat}/messages/{ids[0]}")).status_code == 204
    assert (await client.delete(f"{chat}/messages/{ids[0]}")).status_code == 404


async def test_drafts(client: httpx.AsyncClient) -> None:
    chat, user = await opened(client)
    draft = f"{chat}/drafts/{user}"
    assert (await client.get(draft)).status_code == 404
    assert (await client.put(draft, json={"version": 2, "text": "two"})).json() == {"version": 2, "text": "two"}
    older = await client.put(draft, json={"version": 1, "text": "one"})
    assert older.status_code == 409
    assert older.json()["detail"].startswith("version 1 of this draft is outdated: version 2 is stored")
    assert (await client.get(draft)).json() == {"version": 2, "text": "two"}


async def test_a_deleted_chat_is_404(client: httpx.AsyncClient) -> None:
    chat, user = await opened(client)
    await client.post(f"{chat}/messages", json=saying(user))
    assert (await client.delete(chat)).status_code == 204
    answers = [
        await client.delete(chat),
        await client.get(f"{chat}/messages"),
        await client.post(f"{chat}/messages", json=saying(user)),
        await client.put(f"{chat}/drafts/{user}", json={"version": 1, "text": ""}),
        await client.get(f"{chat}/drafts/{user}"),
    ]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
        (404, f"there is no chat {chat.removeprefix('/chats/')}")
    }
    assert (await client.get("/chats", params={"user_id": user})).json() == []


BAD: list[tuple[str, str, Any, int]] = [
    ("POST", "/chats", {"user_id": 12345, "title": "x"}, 404),
    ("POST", "/chats", {"user_id": 12345, "title": " "}, 422),
    ("POST", "/chats", {"user_id": 2**63, "title": "x"}, 422),
    ("GET", "/chats/0/messages", None, 422),
    ("GET", "/chats/7/messages?limit=201", None, 422),
    ("GET", "/chats/7/messages?before=9223372036854775808", None, 422),
    ("POST", "/chats/7/messages", {"client_id": "x", "sender_id": 1, "text": "x"}, 422),
    ("POST", "/chats/7/messages", saying(1, "a\0"), 422),
    ("POST", "/chats/7/messages", {**saying(1), "color": "red"}, 422),
    ("PUT", "/chats/7/drafts/7", {"version": -1, "text": ""}, 422),
    ("PUT", "/chats/7/drafts/7", {"version": 2**63, "text": ""}, 422),
]


async def test_bad_input_has_an_answer_and_leaves_nothing(client: httpx.AsyncClient, conn: Conn) -> None:
    for method, path, body, status in BAD:
        answer = await client.request(method, path, json=body)
        assert (path, body, answer.status_code) == (path, body, status)
        assert answer.json()["detail"]
    assert jobs(conn, "chats.%") == []
