"""mypy catches a wrong argument at the call: each line marked ``# E`` must be an error, and no other."""

import re
import subprocess
import sys
from pathlib import Path

CASES = Path(__file__).with_name("cases.py")


def test_each_marked_line_and_no_other_is_an_error() -> None:
    lines = CASES.read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# E")}
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent", str(CASES)]
    out = subprocess.run(command, capture_output=True, text=True, cwd=CASES.parent.parent.parent).stdout
    found = {int(number) for number in re.findall(r"cases\.py:(\d+): error", out)}
    assert found == expected, out
