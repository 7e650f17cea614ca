"""docs/from-procrastinate.md, step by step, with stock workers alive between the steps."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import procrastinate
import psycopg
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "from-procrastinate.md").read_text(encoding="utf-8")
BEFORE, AFTER = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
UPGRADE, WORKER, DOWNGRADE = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
PRINTED = "postgresql://localhost/shop"
ENDED = "SELECT count(*) FROM {} WHERE status = 'succeeded'"


class Shop:
    """The project of the page, in a directory for each of its states."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self.directory = directory
        self.workers: list[subprocess.Popen[bytes]] = []
        for name, code in ("before", BEFORE), ("after", AFTER):
            (directory / name).mkdir()
            (directory / name / "app.py").write_text(code.replace(PRINTED, url), encoding="utf-8")

    def run(self, command: str, code: str) -> None:
        self.start(command, code).wait(60)
        assert self.workers.pop().returncode == 0

    def start(self, command: str, code: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        line = f"exec env {command.replace(PRINTED, shlex.quote(self.url))}"
        process = subprocess.Popen(["sh", "-c", line], cwd=self.directory / code, env=environment)
        self.workers.append(process)
        return process

    def defer(self, code: str, addresses: list[str]) -> None:
        for address in addresses:
            self.run(f'PYTHONPATH=. procrastinate --app=app.app defer send \'{{"address": "{address}"}}\'', code)

    def ended(self, table: str, count: int) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            deadline = time.monotonic() + 90
            while connection.execute(ENDED.format(table)).fetchone() != (count,):  # type: ignore[arg-type]
                assert time.monotonic() < deadline, connection.execute("TABLE procrastinate_jobs").fetchall()
                time.sleep(0.1)

    def stop(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            assert worker.wait(30) == 0
        self.workers.clear()


@pytest.fixture
def shop(tmp_path: Path, empty_database_url: str) -> Iterator[Shop]:
    connector = procrastinate.SyncPsycopgConnector(conninfo=empty_database_url)
    app = procrastinate.App(connector=connector)
    with app.open():
        app.schema_manager.apply_schema()
    shop = Shop(tmp_path, empty_database_url)
    yield shop
    for worker in shop.workers:
        worker.kill()
        worker.wait()


def test_there_and_back(shop: Shop) -> None:
    shop.defer("before", ["a"])
    shop.start(WORKER, "before")
    shop.ended("procrastinate_jobs", 1)
    shop.run(UPGRADE, "before")
    shop.defer("before", ["b"])  # an old producer, an old worker, the new schema
    shop.ended("workrow.all_jobs", 2)
    shop.start(WORKER, "after")
    shop.defer("after", ["c"])
    shop.defer("before", ["d"])
    shop.ended("workrow.history", 4)  # what the old worker has ended is moved there
    shop.stop()
    shop.defer("after", ["e"])
    shop.run(DOWNGRADE, "before")
    shop.ended("procrastinate_jobs", 4)
    shop.start(WORKER, "before")
    shop.ended("procrastinate_jobs", 5)
    shop.stop()
