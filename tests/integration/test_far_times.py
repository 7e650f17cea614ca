"""Times that no job may be asked to start or expire at."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

import workrow
from tests.integration.test_values import states

EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
BEYOND = [
    datetime.min.replace(tzinfo=UTC),
    datetime.min.replace(tzinfo=EAST),
    datetime.max.replace(tzinfo=WEST),
    datetime.max.replace(tzinfo=ZoneInfo("America/New_York")),
    datetime(datetime.now(UTC).year + 101, 1, 1, tzinfo=UTC),
    datetime(datetime.now(UTC).year - 101, 12, 31, tzinfo=UTC),
]


@pytest.mark.parametrize("when", BEYOND, ids=str)
async def test_a_time_that_is_far_away_is_refused_at_the_call(
    open_app: workrow.App, conn: psycopg.Connection[Any], when: datetime
) -> None:
    @open_app.task(name="t")
    async def t() -> None: ...

    calls: list[Callable[[], Any]] = [
        lambda: t.options(at=when).enqueue(None),
        lambda: t.options(at=when).enqueue(conn),
        lambda: t.options(expires=when).enqueue(None),
        lambda: t.apply_async(eta=when),
        lambda: t.apply_async(expires=when),
        lambda: t.configure(schedule_at=when).defer(),
        lambda: t.configure(schedule_at=when).defer_async(),
        lambda: t.configure(schedule_at=when, connection=conn).defer(),
        lambda: open_app.configure_task("unknown", schedule_at=when).defer_async(),
        lambda: t.configure(schedule_in={"days": (when - datetime.now(UTC)).days + 1}).defer(),
        lambda: t.configure(schedule_in={"weeks": 10**12}).defer(),
        lambda: workrow.Snooze(at=when),
        lambda: workrow.RetryLater(at=when),
    ]
    for call in calls:
        with pytest.raises(workrow.OptionError, match="must be within 100 years"):
            await _made(call)
    assert states(conn) == []
    job = await t.options(at=datetime.now(WEST) + timedelta(days=36400), expires=36000 * 86400.0).enqueue(None)
    assert await job.status() == "todo"


async def _made(call: Callable[[], Any]) -> None:
    awaitable = call()
    if inspect.isawaitable(awaitable):
        await awaitable


def test_a_time_without_a_zone_is_refused_by_procrastinates_words_too(app: workrow.App) -> None:
    @app.task(name="t")
    async def t() -> None: ...

    with pytest.raises(ValueError, match="Timezone aware datetime is required"):
        t.configure(schedule_at=datetime(2027, 1, 1))


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-12:00"])
def test_the_command_line_refuses_it_in_a_line(
    database_url: str, conn: psycopg.Connection[Any], tmp_path: Path, at: str
) -> None:
    (tmp_path / "far_times.py").write_text(
        "import os, workrow\napp = workrow.App(os.environ['URL'])\n@app.task(name='t')\ndef t(): ..."
    )
    words = [str(Path(sys.executable).with_name("procrastinate")), "--app=far_times.app", "defer", "t", f"--at={at}"]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env={**os.environ, "URL": database_url, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "must be within 100 years of now" in done.stderr.splitlines()[-1]
    assert states(conn) == []
