"""Beat as a process."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.celery.conformance.experiments import experiment
from tests.celery.conformance.journal import journal, notes
from tests.celery.conformance.looking import until
from tests.celery.conformance.workers import started, worker

ENTRIES: dict[str, dict[str, Any]] = {
    "number": {"schedule": 3.0, "args": ["number"]},
    "delta": {"schedule": {"seconds": 3}, "kwargs": {"label": "delta"}},
    "relative": {"schedule": 3.0, "relative": True, "args": ["relative"]},
    "options": {"schedule": 3.0, "args": ["options"], "options": {"countdown": 1, "priority": 3}},
    "long": {"schedule": 60.0, "args": ["long"]},
    "minute": {"schedule": {"minute": "*"}, "args": ["minute"]},
}


def wait_for_a_quiet_stretch() -> None:
    """No minute begins in the next 35 s: the second beat would catch up on what was due since the first."""
    second = time.time() % 60
    if second > 25:
        time.sleep(61 - second)


@experiment("beat/first-run", alone=True, about=1, seconds=60)
def beats() -> Any:
    entries = json.dumps({name: {"task": "stamp_log", **entry} for name, entry in ENTRIES.items()})
    seen = {}
    with worker(), tempfile.TemporaryDirectory() as folder:
        arguments = ("beat", "-s", str(Path(folder) / "schedule"), "-l", "INFO")
        wait_for_a_quiet_stretch()
        for label in ("fresh file", "same file, 5 s later"):
            journal.begin()
            with started(*arguments, CONFORMANCE_BEAT=entries) as beat:
                until(lambda beat=beat: beat.said("beat: Starting"), 20)
                began = time.time()
                time.sleep(8)
                code = beat.stop()
            time.sleep(1.5)
            sent = {name: [round(each["time"] - began) for each in notes(kind="ran", label=name)] for name in ENTRIES}
            seen[label] = {"exit_code": code, "sent": sent}
            time.sleep(3.5)
    return seen
