"""What callers and workers of a lane write down, one line each, in the file that ``CONFORMANCE_JOURNAL`` names."""

import json
import os
import time
from pathlib import Path
from typing import Any

WHERE = Path(os.environ.get("CONFORMANCE_JOURNAL", os.devnull))


def note(**entry: Any) -> None:
    line = json.dumps({"time": time.time(), **entry}) + "\n"
    file = os.open(WHERE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


class Journal:
    """What was written since `begin`."""

    def __init__(self) -> None:
        self._read = 0
        self._entries: list[dict[str, Any]] = []

    def begin(self) -> None:
        self.notes()
        self._entries.clear()

    def notes(self, **wanted: Any) -> list[dict[str, Any]]:
        """In the order in which they were written; only those that have these values."""
        if WHERE.exists():
            with WHERE.open("rb") as file:
                file.seek(self._read)
                written = file.read()
            whole = written[: written.rfind(b"\n") + 1]
            self._read += len(whole)
            self._entries += map(json.loads, whole.splitlines())
        return [entry for entry in self._entries if all(entry.get(key) == value for key, value in wanted.items())]


journal = Journal()
notes = journal.notes
