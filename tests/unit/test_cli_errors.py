"""What a command says when something is wrong: one line, whatever the words in it."""

import click
import psycopg
import pytest
from click.testing import CliRunner

from workrow.cli.errors import OneLineErrors
from workrow.errors import OptionError


@pytest.mark.parametrize(
    "error",
    [
        OptionError("queue 'a\nError: forged\r\n\x1b[2J\x07\u202e': no such queue"),
        psycopg.OperationalError("connection failed\n\tIs the server\x1b[31m running?"),
    ],
)
def test_an_error_is_one_line_that_a_terminal_only_prints(error: Exception) -> None:
    @click.group(cls=OneLineErrors)
    def main() -> None: ...

    @main.command()
    def fails() -> None:
        raise error

    done = CliRunner().invoke(main, ["fails"])
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert done.output.rstrip("\n").isprintable()
    assert r"\x1b" in done.output
