"""A minute of chaos. ``make chaos`` has more."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.fleet import ROOT

SECONDS_MOST = 90
SEED = os.environ.get("CHAOS_SEED", "4")


def processes_of(words: str) -> list[str]:
    """The commands of all processes that have these words in theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in command:
            found.append(command)
    return found


@pytest.mark.timeout(SECONDS_MOST + 40)
def test_a_minute_of_chaos() -> None:
    command = [sys.executable, "-m", "tests.chaos.run", "--minutes", "1", "--seed", SEED, "--rate", "80"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=SECONDS_MOST)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)  # it cleans up
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()  # and its guard cleans up
    assert process.returncode == 0, output
    assert "all invariants held" in output
    log = (ROOT / ".workrow" / "chaos" / SEED / "faults.log").read_text()
    directory = log.partition("data in ")[2].partition(",")[0]
    assert directory
    assert processes_of(directory) == []
    assert not Path(directory).exists()
