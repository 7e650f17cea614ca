"""The application against the real database and a real mail server."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

import workrow
from jobs import database
from jobs.bootstrap import create_app
from jobs.settings import get_settings
from tests.domains.provider_server import PROVIDER_SECRET, ProviderServer
from tests.domains.receiver import Receiver, receiving


class MailServer:
    """An SMTP server on a free port. ``answers`` says what it replies to a recipient, ``received`` is what it took."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.answers: dict[str, str] = {}
        self.password: bytes | None = None
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        # handled=True, the default, says that the answer is sent already: the client would wait for it
        return AuthResult(success=data.password == self.password, handled=False)

    def protocol(self) -> SMTP:
        """The conversation on one connection."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a password without TLS: on the loopback interface of a test
            return SMTP(
                self,
                hostname="mx.test",
                enable_SMTPUTF8=True,
                authenticator=self.authenticate,
                auth_required=self.password is not None,
                auth_require_tls=False,
            )

    def recipients(self) -> list[str]:
        return sorted(message["To"].addresses[0].addr_spec for message in self.received)

    def to(self, address: str, kind: str) -> EmailMessage:
        """The one e-mail of this kind to this address."""
        (found,) = [
            message
            for message in self.received
            if message["To"].addresses[0].addr_spec == address and message["Message-ID"].startswith(f"<{kind}.")
        ]
        return found


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    handler = MailServer()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(handler.protocol, "127.0.0.1", 0)
    handler.port = server.sockets[0].getsockname()[1]
    yield handler
    server.close()


@pytest.fixture
def fresh_settings() -> Iterator[None]:
    """The settings are read anew in this test, and forgotten after it."""
    get_settings.cache_clear()
    database.engine.cache_clear()
    yield
    get_settings.cache_clear()
    database.engine.cache_clear()


@pytest.fixture
def environment(
    database_url: str, mail: MailServer, monkeypatch: pytest.MonkeyPatch, fresh_settings: None
) -> dict[str, str]:
    """What the application is told, in this process and in those that a test starts."""
    told = {
        "DATABASE_URL": database_url,
        "WORKROW_SMTP_PORT": str(mail.port),
        "WORKROW_SECRET_KEY": "a key that only the tests know",
        "WORKROW_API_KEYS": "off",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return told


@pytest.fixture
async def provider(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[ProviderServer]:
    """Who makes the calls; open at all hours, so that tests do not depend on the time of day."""
    server = ProviderServer()
    async with await asyncio.start_server(server.handle, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        told = {
            "WORKROW_PROVIDER_URL": f"http://127.0.0.1:{server.port}/",
            "WORKROW_PROVIDER_SECRET": PROVIDER_SECRET,
            "WORKROW_PROVIDER_TIMEOUT": "2",
            "WORKROW_CALL_HOURS": "mon-sun 00:00-24:00",
            "WORKROW_RECORDINGS_DIRECTORY": str(tmp_path / "recordings"),
        }
        environment.update(told)
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        yield server
        await server.close()


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    return create_app()


@pytest.fixture
async def application(workrow_app: workrow.App) -> AsyncIterator[workrow.App]:
    async with workrow_app.open_async():
        yield workrow_app
    await database.engine().dispose()


@pytest.fixture
def work(application: workrow.App) -> Callable[[], Any]:
    """Run a worker until no job is ready."""

    async def run() -> None:
        await application.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)

    return run


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    """A receiver, and settings by which webhooks may go there and wait for it for two seconds."""
    monkeypatch.setenv("WORKROW_WEBHOOK_ALLOW_HTTP", "true")
    monkeypatch.setenv("WORKROW_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("WORKROW_WEBHOOK_TIMEOUT", "2")
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def client(application: workrow.App) -> AsyncIterator[httpx.AsyncClient]:
    from jobs.api import api

    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        yield client


async def until(holds: Callable[[], bool], *, seconds: float = 30) -> None:
    """Return when something that another process does has come true; fail after so long."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


def header(text: str) -> str:
    """A header as written: Python reads one in UTF-8, as SMTPUTF8 sends it, as escaped bytes."""
    return text.encode("utf-8", "surrogateescape").decode()


def jobs(conn: psycopg.Connection[Any], task: str = "emails.%") -> list[dict[str, Any]]:
    """The jobs whose task is LIKE this, oldest first, as the public view shows them."""
    cursor = conn.execute("SELECT * FROM workrow.jobs WHERE task LIKE %s ORDER BY id", (task,))
    names = [column.name for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def scalar(conn: psycopg.Connection[Any], query: str, *params: Any) -> Any:
    row = conn.execute(query, params).fetchone()
    assert row is not None
    return row[0]
