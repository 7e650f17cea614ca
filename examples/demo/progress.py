"""What is seen while the demo runs: bars in a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LINE_SECONDS = 2.0


class Screen:
    """Bars by name, and lines above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        # drawn by `show` alone: no thread of its own in a process that forks
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._last_line = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        self._progress.console.print(line)

    def show(self, figures: dict[str, tuple[int, int]]) -> None:
        """How far each thing is: its name → (done, of how many)."""
        if self._console.is_terminal:
            self._draw(figures)
        elif time.monotonic() - self._last_line > LINE_SECONDS:
            self._last_line = time.monotonic()
            self.say("  " + ", ".join(f"{name} {done}/{total}" for name, (done, total) in figures.items()))

    def _draw(self, figures: dict[str, tuple[int, int]]) -> None:
        for name, (done, total) in figures.items():
            if name not in self._bars:
                self._bars[name] = self._progress.add_task(name)
            self._progress.update(self._bars[name], completed=done, total=total)
        self._progress.refresh()
