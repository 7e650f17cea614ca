"""What the day needs: a broker or a database, a mail server, a worker, beat."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiosmtpd.controller import Controller

ROOT = Path(__file__).resolve().parents[2]
APP = "examples.celery_shop.app"


class MailServer:
    """aiosmtpd's handler: knows no strangers, and asks who is greylisted to come again."""

    def __init__(self):
        self.letters: list[str] = []
        self._seen: set[str] = set()

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802, aiosmtpd's name
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox here"
        if address.startswith("grey@") and address not in self._seen:
            self._seen.add(address)
            return "451 4.7.1 greylisted, please try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        subject = next(line for line in envelope.content.decode().splitlines() if line.startswith("Subject:"))
        self.letters.append(f"{envelope.rcpt_tos[0]}, {subject}")
        return "250 stored"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Its port is in SHOP_SMTP_PORT."""
    handler = MailServer()
    controller = Controller(handler, hostname="127.0.0.1", port=_free_port())
    controller.start()
    os.environ["SHOP_SMTP_PORT"] = str(controller.port)
    try:
        yield handler
    finally:
        controller.stop()


@contextmanager
def database() -> Iterator[str]:
    """The URL of an empty database with workrow's tables; SHOP_URL, or an embedded PostgreSQL's."""
    import psycopg

    from workrow import embedded, schema

    url = os.environ.get("SHOP_URL") or embedded.ensure(Path(os.environ["SHOP_FOLDER"], "postgres"))
    with psycopg.connect(url) as connection:
        schema.upgrade(connection)
    yield url


@contextmanager
def broker() -> Iterator[str]:
    """The URL of a Redis for one day; SHOP_URL, or a redis-server of its own."""
    if url := os.environ.get("SHOP_URL"):
        yield url
        return
    port = _free_port()
    with child("redis", "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"):
        _until_listening(port)
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def child(name: str, *command: str) -> Iterator[subprocess.Popen]:
    """A process that ends with the block; what it says is in `name`.out of the day's folder."""
    folder = Path(os.environ["SHOP_FOLDER"])
    with (folder / f"{name}.out").open("wb") as output:
        environment = {**os.environ, "SHOP_TILL": name, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def celery(*arguments: str) -> tuple[str, ...]:
    """The command line of whichever Celery the shop runs on."""
    package = "celery" if os.environ.get("SHOP_ON") == "celery" else "workrow.celery"
    return sys.executable, "-m", package, "-A", APP, *arguments


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _until_listening(port: int) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
