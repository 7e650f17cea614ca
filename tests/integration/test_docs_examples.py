"""Every python example of these pages runs as printed: docs/examples.md, then the blocks of a section in their order.

A mermaid block is what `workrow workflow show --mermaid` prints of the section's `workflow` as
the block before has left it, with its jobs numbered from 1.
"""

import ast
import asyncio
import inspect
import itertools
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from workrow.cli import main

PAGES = (
    "tasks",
    "batch-handlers",
    "job-batches",
    "schedules",
    "limits",
    "queues",
    "steps",
    "workflows",
)  # testing: tests/acceptance/test_testing_docs.py
DOCS = Path(__file__).parents[2] / "docs"
HEADING = re.compile(r"^## +(.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(python|mermaid)\n(.*?)^```", re.MULTILINE | re.DOTALL)
Block = tuple[str, str]
"""Its kind, "python" or "mermaid", and its text."""
SETUP = BLOCK.search((DOCS / "examples.md").read_text(encoding="utf-8"))


def sections() -> Iterator[Any]:
    for page in PAGES:
        path = DOCS / f"{page}.md"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        starts = [0, *(found.start() for found in HEADING.finditer(text)), len(text)]
        for start, end in itertools.pairwise(starts):
            blocks = [
                (found[1], "\n" * text.count("\n", 0, start + found.start(2)) + found[2])
                for found in BLOCK.finditer(text[start:end])
            ]
            title = HEADING.match(text[start:end])
            if blocks:
                yield pytest.param(path, blocks, id=f"{page}: {title.group(1) if title else 'top'}")


def picture(database_url: str, workflow_id: int) -> str:
    command = ["--database-url", database_url, "workflow", "show", "--mermaid", str(workflow_id)]
    shown = CliRunner().invoke(main, command)
    assert shown.exit_code == 0, shown.output
    jobs = sorted(set(map(int, re.findall(r"\[(\d+)\]", shown.output))))
    return re.sub(r"\[(\d+)\]", lambda found: f"[{jobs.index(int(found[1])) + 1}]", shown.output).strip()


@pytest.mark.parametrize(("path", "blocks"), list(sections()))
async def test_the_examples_of_the_section_run(
    path: Path, blocks: list[Block], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SETUP
    monkeypatch.setenv("DATABASE_URL", database_url)
    # a module, because functions find their annotations there
    module = types.ModuleType("docs_example")
    monkeypatch.setitem(sys.modules, "docs_example", module)
    try:
        for kind, block in [("python", SETUP[2]), *blocks]:
            if kind == "mermaid":
                drawn = await asyncio.to_thread(picture, database_url, module.__dict__["workflow"].id)
                assert drawn == block.strip()
                continue
            code = compile(block, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            awaited = eval(code, module.__dict__)
            if inspect.isawaitable(awaited):
                await awaited
    finally:
        module.__dict__["conn"].close()
        await module.__dict__["app"].close_async()
    for engine in [value for value in vars(module).values() if hasattr(value, "dispose")]:
        disposed = engine.dispose()
        if asyncio.iscoroutine(disposed):
            await disposed
