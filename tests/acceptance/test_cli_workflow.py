"""``workrow workflow``."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from typing import Any

import workrow
from tests.acceptance.test_cli_status import workrow as command
from tests.integration.test_worker import run


def make(app: workrow.App, conn: Any) -> int:
    """A workflow whose first group has run, and one of whose tasks hides what it is given."""

    @app.task(name="resize")
    async def resize(size: int) -> int:
        return 1 // size

    @app.task(name="notify", hide=["token"])
    async def notify(sizes: list[int | None], token: str) -> None: ...

    async def made() -> int:
        async with app.open_async():
            header = workrow.map(resize, [*range(1, 12), 0]).if_failed("continue")
            flow = workrow.chord(header, notify.options(delay=3600).s("s3cret-token")).named("album")
            workflow = await flow.enqueue(None)
            await run(app)
            return workflow.id or 0

    return asyncio.run(made())


def test_workflows_are_shown_and_acted_on(app: workrow.App, database_url: str, conn: Any) -> None:
    number = make(app, conn)

    def said(*arguments: str, code: int = 0) -> str:
        done = command("--database-url", database_url, "workflow", *arguments)
        assert done.returncode == code, done.stderr
        assert "s3cret" not in done.stdout + done.stderr
        return done.stdout if code == 0 or done.stdout else done.stderr

    head, bar, failure, group, last = said("show", str(number)).splitlines()
    assert head == f"workflow {number}: album, running"
    assert bar.startswith("[##################..] 92%, 12 of 13 done, 1 failed, started 20")
    assert failure.startswith("first failure: ZeroDivisionError: ")
    assert group == "✗ resize \N{MULTIPLICATION SIGN}12: 11 done, 1 failed"
    assert re.fullmatch(r"↓ ○ notify\[\d+\]: enqueued", last)
    assert said("show", "--mermaid", str(number)).startswith("flowchart TD\n")
    assert said("show", "--svg", str(number)).startswith("<svg ")
    document = json.loads(said("show", "--json", str(number)))
    assert (document["state"], len(document["nodes"])) == ("running", 14)
    assert "give one of them" in said("show", "--svg", "--json", str(number), code=2)
    assert "there is no workflow 987654" in said("show", "987654", code=1)

    assert "album" in said("list", "--state", "running")
    assert json.loads(said("list", "--state", "failed", "--json")) == []
    assert said("pause", str(number)) == f"{number}: paused\n"
    assert said("resume", str(number)) == f"{number}: running\n"
    assert said("resume", str(number), code=1) == f"{number}: was not paused\n"
    assert said("cancel", str(number)) == f"{number}: cancelled\n"
    assert (
        said("cancel", str(number), "987654", code=1).splitlines()[1] == "987654: has ended already, or never existed"
    )
    assert said("retry", str(number)) == f"{number}: running\n"

    # on a terminal it is drawn until it has ended
    reader, writer = pty.openpty()
    arguments = ["--database-url", database_url, "workflow", "show", str(number)]
    with subprocess.Popen(
        [sys.executable, "-m", "workrow", *arguments], stdout=writer, env={**os.environ, "TERM": "xterm"}
    ) as watching:
        os.close(writer)
        seen = os.read(reader, 100_000)
        conn.execute("SELECT workrow.cancel_workflow_v1(%s)", [number])
        while True:
            try:
                part = os.read(reader, 100_000)
            except OSError:  # the other side has closed
                break
            if not part:
                break
            seen += part
    os.close(reader)
    assert watching.returncode == 0
    text = seen.decode()
    assert f"workflow {number}: album, running" in text
    assert f"workflow {number}: album, cancelled" in text.rpartition("running")[2]
