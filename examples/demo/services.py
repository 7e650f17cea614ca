"""The processes of the application: migration, mail server, service, workers. The demo and `make dev` share them."""

import base64
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg

from examples.demo.database import query
from examples.demo.processes import Child, Processes, script


def environment_of(database_url: str, smtp_port: int) -> dict[str, str]:
    """The environment of the children: this process's own, the database, and the mail server of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WORKROW_SMTP_")}
    return kept | {
        "DATABASE_URL": database_url,
        "WORKROW_SMTP_HOST": "127.0.0.1",
        "WORKROW_SMTP_PORT": str(smtp_port),
        "WORKROW_SMTP_TLS": "none",
        # nobody wants to watch for 20 s how a dead worker is missed
        "WORKROW_LEASE": "3",
        "WORKROW_API_KEYS": "off",
        # the demo is over in a minute, at any hour
        "WORKROW_CALL_HOURS": "mon-sun 00:00-24:00",
        "WORKROW_PROVIDER_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "PYTHONUNBUFFERED": "1",
    }


def migrate(processes: Processes, environment: Mapping[str, str]) -> None:
    """Bring the database to the newest schema, as a deployment does."""
    processes.run("migrate", script("alembic"), "upgrade", "head", environment=environment)


def start_sink(processes: Processes, maildir: Path, port: int = 0, *, unreliable: float = 0.0) -> Child:
    """Start the mail server on `port` (0: a free one); see `smtp_sink` for `unreliable`."""
    options = (f"--port={port}", f"--unreliable={unreliable}")
    command = (sys.executable, "-m", "examples.demo.smtp_sink", str(maildir), *options)
    return processes.start("smtp", *command, environment=os.environ)


def start_service(processes: Processes, environment: Mapping[str, str], port: int = 0) -> Child:
    """Start the HTTP service on `port` (0: a free one)."""
    command = (sys.executable, "-m", "uvicorn", "jobs.api:api", "--host=127.0.0.1", f"--port={port}")
    return processes.start("service", *command, environment=environment)


def wait_for_service(processes: Processes, service: Child) -> str:
    """Wait until the service answers; returns its URL."""
    port = processes.wait_for("the service", service.listening_port)
    url = f"http://127.0.0.1:{port}"
    processes.wait_for("the service", lambda: httpx.get(f"{url}/healthz", trust_env=False).is_success)
    return url


def start_provider(processes: Processes, environment: Mapping[str, str], service_url: str) -> str:
    """Start who makes the calls; returns its URL."""
    events = f"--tell={service_url}/provider/events"
    command = (sys.executable, "-m", "examples.demo.provider", events)
    provider = processes.start("provider", *command, environment=environment)
    return f"http://127.0.0.1:{processes.wait_for('the provider', provider.listening_port)}"


def start_worker(processes: Processes, name: str, environment: Mapping[str, str], *, concurrency: int = 20) -> Child:
    """Start a worker with the command that every user of procrastinate knows."""
    return processes.start(
        name,
        script("procrastinate"),
        "--app=app.app",
        "worker",
        f"--name={name}",
        f"--concurrency={concurrency}",
        # a retry is due without anybody telling: ask often
        "--fetch-job-polling-interval=0.5",
        environment=environment,
    )


def wait_for_workers(processes: Processes, database_url: str, workers: Sequence[Child]) -> None:
    """Wait until each of `workers` has told the database that it is there."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def row_of(worker: Child) -> tuple[Any, ...] | None:
            return connection.execute(query("worker_of_process"), {"pid": worker.pid}).fetchone()

        for worker in workers:
            processes.wait_for(worker.name, partial(row_of, worker))
