"""A server whose clock can be set while it runs: libfaketime, where it is installed (Debian: ``faketime``)."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.facts import Shown

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class SteppingClock:
    """The clock of the processes that are started inside of `in_force`, and of their children.

    Args:
        directory: where the file lies that says by how much it is off; its processes must be able to read it.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self._since = 0.0
        self.ahead = 0
        self._shown: list[Shown] = []
        self._write()

    def set(self, seconds: int) -> None:
        """Let it be so much ahead of the real one, from now on."""
        before, was = time.time(), self.ahead
        self.ahead = seconds
        self._write()
        # meanwhile it may have shown either
        self._shown.append(Shown(self._since, time.time(), was))
        self._since = before

    def history(self) -> list[Shown]:
        """What it has shown until now."""
        return [*self._shown, Shown(self._since, time.time(), self.ahead)]

    def _write(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{self.ahead:+d}")
        new.chmod(0o644)
        new.replace(self._file)

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """What is started meanwhile has this clock; the monotonic one is real."""
        assert LIBRARY
        names = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        os.environ.update(names)
        try:
            yield
        finally:
            for name in names:
                os.environ.pop(name)
