"""Hidden arguments in what procrastinate's own code logs and prints: of `@app.periodic` and of its command."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import workrow
from tests.integration.test_secrets import CANARY, SEEN, nowhere, records, stored, views  # noqa: F401
from workrow.worker.upstream import Deferrer


@pytest.mark.parametrize("hooks", [False, True])
async def test_a_tick_of_periodic_tells_none(
    open_app: workrow.App,
    conn: Any,
    records: list[str],  # noqa: F811
    hooks: bool,
) -> None:
    if hooks:

        @open_app.around_enqueue
        def hook(enqueue: workrow.Enqueue) -> Iterator[None]:
            yield

    blueprint = workrow.Blueprint("b")

    @blueprint.periodic(cron="* * * * * *", task_kwargs={"pin": CANARY, "n": 17})
    @blueprint.task(name="pp", hide=("pin",))
    async def pp(timestamp: int, pin: str, n: int) -> None: ...

    @blueprint.periodic(cron="* * * * * *", task_kwargs={"key": CANARY})
    @blueprint.task(name="later")
    async def later(timestamp: int, key: "Key") -> None: ...

    Key = workrow.Secret  # noqa: N806  # not there yet where the line is registered
    open_app.include(blueprint)
    deferrer = Deferrer({}, open_app.periodic_registry)
    periodic = next(iter(open_app.periodic_registry.periodic_tasks.values()))
    for _ in range(2):  # the second is there already
        await deferrer.defer_jobs([(periodic, 1_800_000_000)])
    assert stored(conn, 1) == {"timestamp": 1_800_000_000, "pin": CANARY, "n": 17}
    ticks = [each for each in records if "Periodic job pp[" in each]
    assert len(ticks) == 2
    assert all("pp[1](" in each or "pp[None](" in each for each in ticks)
    assert all("pin='***', n=17" in each for each in ticks)
    registered = [each for each in records if "Registering task" in each]
    assert len(registered) == 4
    for each in records:
        nowhere(each)


APP = """
import os, workrow
from pydantic import SecretStr
app = workrow.App(os.environ["URL"])
@app.task(name="kk", hide=("pin",))
def kk(key: SecretStr, pin: int = 1, n: int = 1): ...
"""


@pytest.fixture
def defer(database_url: str, tmp_path: Path) -> Callable[..., str]:
    (tmp_path / "secret_app.py").write_text(APP)

    def defer(*words: str) -> str:
        program = [str(Path(sys.executable).with_name("procrastinate")), "-v", "--app=secret_app.app", "defer", *words]
        env = {**os.environ, "URL": database_url, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(program, env=env, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return defer


def test_procrastinates_command_prints_none(defer: Callable[..., str], conn: Any) -> None:
    said = defer("kk", f'{{"key": "{SEEN}", "pin": 9, "n": 17}}')
    assert "Launching a job: kk(key='***', pin='***', n=17)" in said
    nowhere(said)
    assert stored(conn, 1) == {"key": SEEN, "pin": 9, "n": 17}
    for unfit in (f'{{"key": ["{SEEN}"]}}', f'{{"key": "k", "pin": "{SEEN}"}}', f'{{"key": "{SEEN}", "odd": 1}}'):
        said = defer("kk", unfit)
        assert "kk" in said
        assert "Launching" in said
        nowhere(said)
        assert "input_value" not in said


def test_nor_any_of_a_task_that_the_app_does_not_know(defer: Callable[..., str], conn: Any) -> None:
    said = defer("--unknown", "elsewhere", f'{{"key": "{SEEN}", "n": 17}}')
    assert "Launching a job: elsewhere(key='***', n='***')" in said
    nowhere(said)
    assert stored(conn, 1) == {"key": SEEN, "n": 17}
    assert not conn.execute("SELECT * FROM workrow.hidden_arguments").fetchall()


@pytest.mark.parametrize("batch", [False, True])
async def test_nor_are_those_logged(open_app: workrow.App, conn: Any, records: list[str], batch: bool) -> None:  # noqa: F811
    elsewhere = open_app.configure_task("elsewhere", priority=3)
    await (elsewhere.batch_defer_async({"key": SEEN}, {"key": SEEN}) if batch else elsewhere.defer_async(key=SEEN))
    assert stored(conn, 1) == {"key": SEEN}
    assert any("elsewhere[1](key='***')" in each for each in records)
    for each in records:
        nowhere(each)
