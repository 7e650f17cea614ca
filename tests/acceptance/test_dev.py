"""The development services, and the processes that the demo and they start."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from examples.demo.errors import DemoError
from examples.demo.processes import ROOT, Processes
from tests.acceptance.commands import children_of, is_alive, start, wait_for


def test_dev_serves_restarts_and_stops(empty_database_url: str, tmp_path: Path) -> None:
    port, smtp_port = free_port(), free_port()
    names = {"DATABASE_URL": empty_database_url, "WORKROW_SMTP_PORT": str(smtp_port)}
    with start(("examples.dev", f"--directory={tmp_path}", f"--port={port}"), **names) as process:
        wait_for(lambda: answers(port))
        person = {"name": "Ada", "email": "ada@mail.example"}
        assert httpx.post(f"http://127.0.0.1:{port}/register", json=person, trust_env=False).status_code == 201
        wait_for(lambda: len(list((tmp_path / "maildir" / "new").iterdir())) == 2)

        before = children_of(tmp_path)
        worker = next(pid for pid in before if "--app=app.app" in psutil.Process(pid).cmdline())
        os.kill(worker, signal.SIGKILL)
        (ROOT / "app.py").touch()
        # the mail server stays; service and worker are new
        wait_for(lambda: len(children_of(tmp_path)) == 3 and len(children_of(tmp_path) & before) == 1)
        after = children_of(tmp_path)
        wait_for(lambda: answers(port))
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert "app.py changed" in output
    assert not [pid for pid in before | after if is_alive(pid)]


def test_what_a_killed_run_left_is_killed_and_nobody_else(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    with subprocess.Popen(command) as left_over, subprocess.Popen(command) as stranger:
        try:
            started = psutil.Process(left_over.pid).create_time()
            ids = [[left_over.pid, started], [stranger.pid, started - 60]]
            (tmp_path / "pids.json").write_text(json.dumps(ids))
            with Processes(tmp_path):
                assert left_over.wait(timeout=10) == -signal.SIGKILL
                assert stranger.poll() is None
        finally:
            left_over.kill()
            stranger.kill()


def test_a_directory_has_one_run_at_a_time(tmp_path: Path) -> None:
    with Processes(tmp_path), pytest.raises(DemoError, match="is in use by another run"), Processes(tmp_path):
        pass
    with Processes(tmp_path):
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False
