"""Public names are promises: a change of them is seen here, in the difference of ``public_surface.txt``."""

from collections.abc import Iterator
from pathlib import Path

import click

import workrow
import workrow.testing
from workrow.cli import main

EXPECTED = Path(__file__).with_name("public_surface.txt")


def commands(command: click.Command, path: str) -> Iterator[str]:
    options = sorted(name for each in command.params for name in (*each.opts, *each.secondary_opts))
    yield " ".join(["command", path, *options])
    if isinstance(command, click.Group):
        for name, each in sorted(command.commands.items()):
            yield from commands(each, f"{path} {name}")


def surface() -> list[str]:
    names = [f"workrow.{name}" for name in sorted(workrow.__all__)]
    testing = [f"workrow.testing.{name}" for name in sorted(workrow.testing.__all__)]
    return [*names, *testing, *commands(main, "workrow")]


def test_the_public_names_and_commands_are_the_promised_ones() -> None:
    assert surface() == EXPECTED.read_text().splitlines()
