"""The HTTP service as a process of its own, as it is run."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def service() -> Iterator[str]:
    """Its URL, while the block runs; its environment is the test's."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "uvicorn", "jobs.api:api", "--host=127.0.0.1", f"--port={port}")
    with (
        # one for all looks: each client reads the certificates of the machine
        httpx.Client(base_url=url, trust_env=False) as client,
        subprocess.Popen([*command, "--log-level=warning"], cwd=ROOT, env=dict(os.environ)) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while not _answers(client):
                assert process.poll() is None, "the service has ended"
                assert time.monotonic() < deadline, "the service does not answer"
                time.sleep(0.1)
            yield url
        finally:
            process.kill()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False
