"""Every command that the pages show is there, with these options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from workrow.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
# in a block after a $, or in a line; "workrow claiming 17" is what a connection is called
SHOWN = re.compile(r"^\$ (?:[A-Z_]+=\S+ )*(workrow [^\n#|>]+)|`(workrow (?!claiming)[^`]+)`", re.MULTILINE)


def shown() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for found in SHOWN.finditer(page.read_text(encoding="utf-8")):
            text = re.sub(r"\\?\n\s*", " ", found[1] or found[2])
            yield page.name, shlex.split(text)[1:]


COMMANDS = sorted({(page, " ".join(words)) for page, words in shown()})


def test_there_are_many() -> None:
    assert len(COMMANDS) > 50


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_the_command_is_there_with_these_options(page: str, line: str) -> None:
    command: click.Command = main
    words = iter(line.split())
    for word in words:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            option = next((param for param in command.params if name in param.opts), None)
            assert isinstance(option, click.Option), f"{page}: {command.name} has no {name}"
            if not (option.is_flag or value):
                next(words, None)
        elif isinstance(command, click.Group) and word != "…":
            name = word if word in command.commands else getattr(command, "default", word)
            assert name in command.commands, f"{page}: {command.name} has no {word}"
            command = command.commands[name]


def test_the_page_of_workers_has_every_option_of_the_command() -> None:
    page = (ROOT / "docs/worker.md").read_text(encoding="utf-8")
    shown = [param for param in main.commands["worker"].params if not getattr(param, "hidden", False)]
    options = {name for param in shown for name in param.opts if name.startswith("--")}
    assert not {name for name in options if f"`{name}" not in page}
