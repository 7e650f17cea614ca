"""The HTTP service."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import Any

import httpx
import psycopg
import pytest

import workrow
from jobs import database
from jobs.settings import get_settings
from tests.domains.conftest import MailServer, jobs, scalar

Work = Callable[[], Awaitable[None]]
ADA = {"name": "Ada", "email": "ada@example.com"}


async def test_register_answers_with_the_user_and_the_jobs(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any]
) -> None:
    answer = await client.post("/register", json=ADA)
    assert answer.status_code == 201
    welcome, verification = jobs(conn)
    assert answer.json() == {
        "id": scalar(conn, "SELECT id FROM users"),
        "jobs": {"welcome": welcome["id"], "verification": verification["id"]},
    }


async def test_a_duplicate_is_409_and_leaves_no_job(client: httpx.AsyncClient, conn: psycopg.Connection[Any]) -> None:
    await client.post("/register", json=ADA)
    answer = await client.post("/register", json={"name": "Ada L.", "email": "ADA@example.com"})
    assert answer.status_code == 409
    assert answer.json() == {"detail": "ada@example.com is registered already"}
    assert len(jobs(conn)) == 2


async def test_of_many_registrations_at_once_exactly_one_wins(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any]
) -> None:
    answers = await asyncio.gather(*(client.post("/register", json=ADA) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert scalar(conn, "SELECT count(*) FROM users") == 1
    assert len(jobs(conn)) == 2


async def test_validate_only_answers_and_leaves_nothing(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any]
) -> None:
    answer = await client.post("/register", json={**ADA, "validate_only": True})
    assert (answer.status_code, answer.json()) == (200, {"valid": True})
    assert scalar(conn, "SELECT count(*) FROM users") == 0
    assert jobs(conn) == []


async def test_validate_only_finds_a_duplicate(client: httpx.AsyncClient) -> None:
    await client.post("/register", json=ADA)
    answer = await client.post("/register", json={**ADA, "validate_only": True})
    assert answer.status_code == 409


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"name": "Ada"},
        {"name": "", "email": "ada@example.com"},
        {"name": "Ada\u0000", "email": "ada@example.com"},
        {"name": "Ada", "email": "ada"},
        {"name": "Ada", "email": "ada@example.com", "validate_olny": True},
    ],
)
async def test_an_invalid_form_is_422_and_leaves_nothing(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any], form: dict[str, Any]
) -> None:
    answer = await client.post("/register", json=form)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"
    assert jobs(conn) == []


async def test_half_a_character_in_a_name_is_422(client: httpx.AsyncClient) -> None:
    body = rb'{"name": "A\ud800da", "email": "ada@example.com"}'
    answer = await client.post("/register", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


async def test_no_success_is_told_before_the_commit(client: httpx.AsyncClient, conn: psycopg.Connection[Any]) -> None:
    conn.execute(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
           CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION refuse()"""
    )
    try:
        answer = await client.post("/register", json=ADA)
    finally:
        conn.execute("DROP FUNCTION refuse CASCADE")
    assert answer.status_code == 500
    assert jobs(conn) == []


def link_in(message: EmailMessage) -> str:
    """The path of the one link that stands on a line of its own."""
    body = message.get_body(("plain",))
    assert body is not None
    (link,) = [line for line in body.get_content().splitlines() if line.startswith("http://localhost:8000/")]
    return str(link).removeprefix("http://localhost:8000")


async def test_the_link_in_the_mail_verifies_the_address(
    client: httpx.AsyncClient, mail: MailServer, work: Work, conn: psycopg.Connection[Any]
) -> None:
    await client.post("/register", json=ADA)
    await work()
    answer = await client.get(link_in(mail.to("ada@example.com", "verification")))
    assert answer.status_code == 200
    assert answer.json()["email"] == "ada@example.com"
    assert scalar(conn, "SELECT verified_at IS NOT NULL FROM users")


@pytest.mark.parametrize("path", ["/verify/abc", "/password-reset/abc"])
async def test_a_wrong_link_is_400(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["detail"][:22]) == (400, "this link is not valid")


async def test_a_password_reset_mails_a_link_to_who_is_there(
    client: httpx.AsyncClient, mail: MailServer, work: Work
) -> None:
    await client.post("/register", json=ADA)
    known = await client.post("/password-reset", json={"email": "ADA@example.com"})
    unknown = await client.post("/password-reset", json={"email": "nobody@example.com"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    assert known.status_code == 202
    await work()
    assert mail.recipients() == ["ada@example.com"] * 3
    answer = await client.get(link_in(mail.to("ada@example.com", "password-reset")))
    assert (answer.status_code, answer.json()["email"]) == (200, "ada@example.com")


async def test_a_job_is_shown_from_enqueue_to_result(client: httpx.AsyncClient, work: Work) -> None:
    id = (await client.post("/register", json=ADA)).json()["jobs"]["welcome"]
    waiting = (await client.get(f"/jobs/{id}")).json()
    assert (waiting["id"], waiting["task"], waiting["queue"]) == (id, "emails.send_welcome", "emails")
    assert (waiting["status"], waiting["attempts"], waiting["result"]) == ("todo", 0, None)
    assert waiting["created_at"] is not None
    assert waiting["started_at"] is None
    await work()
    done = (await client.get(f"/jobs/{id}")).json()
    assert (done["status"], done["attempts"], done["error"]) == ("succeeded", 1, None)
    assert done["result"]["recipient"] == "ada@example.com"
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]


async def test_a_failed_job_shows_its_error(client: httpx.AsyncClient, mail: MailServer, work: Work) -> None:
    mail.answers["ada@example.com"] = "550 5.1.1 No such mailbox"
    id = (await client.post("/register", json=ADA)).json()["jobs"]["welcome"]
    await work()
    failed = (await client.get(f"/jobs/{id}")).json()
    assert (failed["status"], failed["discarded"]) == ("failed", True)
    assert failed["error"] == "550 5.1.1 No such mailbox"
    assert failed["error_type"].endswith("RefusedAddress")


@pytest.mark.parametrize(("id", "status"), [("123456", 404), ("abc", 422), ("0", 422), (str(2**63), 422)])
async def test_a_job_that_is_not_there(client: httpx.AsyncClient, id: str, status: int) -> None:
    assert (await client.get(f"/jobs/{id}")).status_code == status


async def test_the_service_describes_itself(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert set(paths["/register"]["post"]["responses"]) == {"200", "201", "409", "422"}


async def test_what_the_description_refers_to_is_in_it(client: httpx.AsyncClient) -> None:
    document = await client.get("/openapi.json")
    for reference in set(re.findall(r'"\$ref":"#/([^"]+)"', document.text)):
        place = document.json()
        for step in reference.split("/"):
            place = place[step.replace("~1", "/")]


async def test_health_tells_the_schema(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "schema": workrow.schema.LATEST})


@pytest.mark.parametrize(("method", "path", "body"), [("GET", "/healthz", None), ("POST", "/register", ADA)])
async def test_a_database_that_is_down_is_503_and_the_service_recovers(
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    method: str,
    path: str,
    body: Any,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@127.0.0.1:1/x")
    get_settings.cache_clear()
    database.engine.cache_clear()
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 503
    assert answer.json() == {"detail": "the database does not answer; try again"}

    monkeypatch.setenv("DATABASE_URL", environment["DATABASE_URL"])
    get_settings.cache_clear()
    database.engine.cache_clear()
    answer = await client.request(method, path, json=body)
    assert answer.status_code < 300


async def test_connections_that_the_server_dropped_are_replaced(
    client: httpx.AsyncClient, conn: psycopg.Connection[Any]
) -> None:
    assert (await client.get("/healthz")).status_code == 200
    conn.execute(
        """SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    )
    assert (await client.get("/healthz")).status_code == 200


async def test_a_database_without_the_schema_is_not_healthy(
    client: httpx.AsyncClient, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.engine().dispose()
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    get_settings.cache_clear()
    database.engine.cache_clear()
    answer = await client.get("/healthz")
    assert answer.status_code == 503
    assert "alembic upgrade head" in answer.json()["detail"]


async def test_the_service_opens_on_start_and_closes_on_stop(environment: dict[str, str]) -> None:
    from jobs.api import api

    async with api.router.lifespan_context(api):
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
            assert (await client.get("/healthz")).status_code == 200
    assert database.engine().pool.checkedin() == 0  # type: ignore[attr-defined]
