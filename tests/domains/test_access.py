"""Keys of the service's clients."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from click.testing import CliRunner, Result

from jobs import database
from jobs import keys as command
from jobs.access import service as access
from jobs.settings import Settings, get_settings
from tests.domains.conftest import scalar

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.usefixtures("application")


@pytest.fixture(autouse=True)
def closed(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The service as it is by default."""
    monkeypatch.delenv("WORKROW_API_KEYS")
    get_settings.cache_clear()


async def make(name: str = "crm", *scopes: str) -> str:
    async with database.session() as session, session.begin():
        return await access.create(session, name, scopes or ("*",))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The command as a process."""
    return subprocess.run(
        [sys.executable, "-m", "jobs.keys", *words],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def keys(*words: str) -> Result:
    """The command, in a thread, which has an event loop of its own."""
    await database.engine().dispose()  # no connection is of two loops
    return await asyncio.to_thread(CliRunner().invoke, command.main, words)


def test_keys_are_required_unless_somebody_says_otherwise() -> None:
    assert Settings().api_keys == "required"


async def test_exactly_these_routes_are_public(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    public = {
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "security" not in operation
    }
    assert public == {
        ("get", "/healthz"),
        ("post", "/register"),
        ("get", "/verify/{token}"),
        ("post", "/password-reset"),
        ("get", "/password-reset/{token}"),
        ("get", "/unsubscribe/{token}"),
        ("post", "/unsubscribe/{token}"),
        ("post", "/provider/events"),
    }


async def test_every_other_route_answers_401_without_a_key(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    asked = 0
    for path, operations in paths.items():
        for method, operation in operations.items():
            answer = await client.request(method, path.replace("{id}", "1").replace("{", "").replace("}", ""))
            assert (answer.status_code == 401) == ("security" in operation) or path == "/provider/events", path
            if answer.status_code == 401 and path != "/provider/events":
                assert answer.headers["www-authenticate"] == "Bearer"
                asked += 1
    assert asked > 15


async def test_a_key_lets_in_and_its_use_is_noted(client: httpx.AsyncClient, conn: psycopg.Connection[Any]) -> None:
    key = await make()
    assert scalar(conn, "SELECT last_used_at FROM api_keys") is None
    assert (await client.get("/jobs/1", headers=bearer(key))).status_code == 404
    used = scalar(conn, "SELECT last_used_at FROM api_keys")
    assert used is not None
    await client.get("/jobs/1", headers=bearer(key))
    assert scalar(conn, "SELECT last_used_at FROM api_keys") == used  # once a minute


async def test_a_key_may_do_what_its_scopes_say(client: httpx.AsyncClient) -> None:
    key = await make("reader", "jobs:read", "users:read")
    assert (await client.get("/jobs/1", headers=bearer(key))).status_code == 404
    refused = await client.post("/users/1/seen", headers=bearer(key))
    assert refused.status_code == 403
    assert refused.json()["detail"] == "the key reader may jobs:read, users:read, and this needs users:write"


async def test_a_wrong_key_and_a_revoked_one_are_401(client: httpx.AsyncClient, conn: psycopg.Connection[Any]) -> None:
    key = await make()
    last = "a" if key[-1] != "a" else "b"
    for wrong in (key[:-1] + last, "wrk_000000000000_" + key[17:], "wrk_", key + "x", "\u00e9"):
        answer = await client.get("/jobs/1", headers={"Authorization": f"Bearer {wrong}".encode()})
        assert (answer.status_code, answer.json()["detail"][:14]) == (401, "this is no key"), wrong
    async with database.session() as session, session.begin():
        await access.revoke(session, "crm")
    answer = await client.get("/jobs/1", headers=bearer(key))
    assert answer.status_code == 401
    assert "was revoked on" in answer.json()["detail"]


async def test_only_a_hash_is_kept(conn: psycopg.Connection[Any]) -> None:
    key = await make()
    row = conn.execute("SELECT CAST(api_keys AS text) FROM api_keys").fetchone()
    assert row is not None
    assert key.rpartition("_")[2] not in row[0]
    assert key[17:] not in row[0]


async def test_who_made_and_revoked_keys_is_in_the_audit_log(conn: psycopg.Connection[Any]) -> None:
    key = await make("crm", "jobs:read")
    for _ in range(2):
        async with database.session() as session, session.begin():
            await access.revoke(session, "crm")
    events = conn.execute("SELECT action, subject, details FROM audit_events ORDER BY id").fetchall()
    assert events == [
        ("access.created", "api_key:crm", {"prefix": key.split("_")[1], "scopes": ["jobs:read"]}),
        ("access.revoked", "api_key:crm", {}),
    ]


async def test_the_service_may_be_opened(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKROW_API_KEYS", "off")
    get_settings.cache_clear()
    assert (await client.get("/jobs/1")).status_code == 404


async def test_the_command_prints_a_key_once(client: httpx.AsyncClient, conn: psycopg.Connection[Any]) -> None:
    made = run("create", "crm", "--scope", "jobs:read")
    assert made.returncode == 0, made.stderr
    assert (await client.get("/jobs/1", headers=bearer(made.stdout.strip()))).status_code == 404
    listed = (await keys("list")).stdout
    assert "crm  wrk_" in listed
    assert "jobs:read  used 20" in listed
    assert made.stdout.strip() not in listed
    assert (await keys("revoke", "crm")).stdout == "crm is revoked\n"
    assert (await client.get("/jobs/1", headers=bearer(made.stdout.strip()))).status_code == 401
    again = await keys("create", "crm")
    assert (again.exit_code, again.stderr.startswith("Error: there is a key named 'crm'")) == (1, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "crm", "--scope", "jobs:raed"), "'jobs:raed' is no scope. Known are analytics:read, "),
        (("create", "a name"), "'a name' cannot be a key's name"),
        (("revoke", "nobody"), "there is no key named 'nobody'"),
    ],
)
async def test_a_wrong_word_makes_no_key(words: tuple[str, ...], said: str, conn: psycopg.Connection[Any]) -> None:
    ended = await keys(*words)
    assert isinstance(ended.exception, SystemExit)  # and no error that would be a traceback
    assert ended.exit_code != 0
    assert said in ended.stderr
    assert scalar(conn, "SELECT count(*) FROM api_keys") == 0
