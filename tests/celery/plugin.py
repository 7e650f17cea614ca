"""A suite as users of Celery's plugin for pytest write it, on Celery's plugin or on ours.

    python -m tests.celery.plugin

with a Celery and pytest installed writes what becomes of its tests there into data/plugin/outcomes.json.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = Path(__file__).parent / "data" / "plugin"
OUTCOMES = SUITE / "outcomes.json"
FILES = sorted(path.stem for path in SUITE.glob("test_*.txt"))
OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR) (\w+\.py::\w+)", re.MULTILINE)


def ours(text: str) -> str:
    """With our imports, and nothing else changed."""
    text = re.sub(r"^( *)import celery$", r"\1import workrow.celery as celery", text, flags=re.MULTILINE)
    text = re.sub(r"^( *)(from|import) celery\b", r"\1\2 workrow.celery", text, flags=re.MULTILINE)
    return text.replace('"celery.contrib.pytest"', '"workrow.celery.contrib.pytest"')


def write(to: Path, *, is_ours: bool) -> None:
    """The suite's files, into a directory."""
    for path in SUITE.glob("*.txt"):
        text = path.read_text()
        (to / f"{path.stem}.py").write_text(ours(text) if is_ours else text)


def outcomes(directory: Path, files: list[str], **environment: str) -> dict[str, str]:
    """What becomes of the tests of these files, in one run of pytest."""
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *(f"{file}.py" for file in files)]
    run = subprocess.run(
        command, cwd=directory, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )
    found = {test: outcome for outcome, test in OUTCOME.findall(run.stdout)}
    assert found, run.stdout + run.stderr
    return found


def main() -> None:
    """Each file in a run of its own: Celery's worker of a session takes the calls of all later tests."""
    import celery

    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory), is_ours=False)
        found = {test: seen for file in FILES for test, seen in outcomes(Path(directory), [file]).items()}
    OUTCOMES.write_text(json.dumps({"celery": celery.__version__, "outcomes": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
