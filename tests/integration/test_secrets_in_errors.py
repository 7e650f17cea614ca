"""Values of hidden arguments in errors, written otherwise than they are: line by line, escaped, encoded."""

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote, quote_plus

import pytest
from pydantic import SecretStr

import workrow
from tests.integration import process_tasks
from tests.integration.test_secrets import nowhere, records, views  # noqa: F401
from tests.integration.test_worker import run
from workrow.arguments.secrets import concealed, values_of

PEM = "\n".join(["-----BEGIN KEY-----", *(f"c4n4ry+{n}/{'x' * 50}" for n in range(4)), "-----END KEY-----"])
ODD = [
    PEM,
    PEM.replace("\n", "\r\n"),
    "c4n4ry'quoted",
    'c4n4ry"quoted',
    "c4n4ry'both\"",
    "c4n4ry\\back\\'slash",
    "c4n4ry ä€ß/ö+&",
    "c4n4ry\ttab\x00nul",
]
WAYS: list[Callable[[str], str]] = [
    str,
    repr,
    ascii,
    quote,
    quote_plus,
    lambda text: quote(text, safe=""),
    lambda text: repr(ValueError(f"cannot parse {text!r}")),
    lambda text: repr(ValueError(f"cannot parse {text}")),
    lambda text: repr(ValueError(f'{text!r}: it\'s no "key"')),
    lambda text: repr([f"it's {text}"]),
    lambda text: ascii(ValueError(f"cannot parse {text!a}")),
    lambda text: "\n".join(f"    | {line}" for line in text.splitlines()),
]


@pytest.mark.parametrize("secret", ODD)
def test_each_way_to_write_a_value_is_found(secret: str) -> None:
    values = values_of({"key": secret, "n": "c4n4ry"}, {"key"})()
    for way in WAYS:
        said = concealed(f"before {way(secret)} after", values)
        nowhere(said)
        assert "***" in said
        assert said.startswith("before ")
        assert said.endswith(" after")


def test_a_short_line_is_hidden_beside_the_others_and_nowhere_else() -> None:
    values = values_of({"key": "BEGIN\nlong enough\na1==\nend"}, {"key"})()
    assert concealed("an end, a BEGIN, a1==", values) == "an end, a BEGIN, a1=="
    for lines in ("BEGIN\nlong enough\na1==\nend", "long enough\na1==\nend", "BEGIN\nlong enough"):
        indented = "\n".join(f"    | {line}" for line in lines.split("\n"))
        said = concealed(f"an end:\n{indented}\n    | other BEGIN\nend", values)
        assert not [each for each in ("long", "a1==", "| end", "| BEGIN") if each in said]
        assert said.startswith("an end:\n    | ***")
        assert said.endswith("\n    | other BEGIN\nend")


def test_a_value_of_short_lines_is_hidden_where_they_follow_each_other() -> None:
    values = values_of({"key": "pin: 1\nid: 2"}, {"key"})()
    assert concealed("  | pin: 1\n  | id: 2\n\nno id: 2", values) == "  | ***\n\nno id: 2"


@pytest.mark.parametrize("where", ["loop", "process"])
async def test_a_group_of_errors_tells_no_line(
    open_app: workrow.App,
    conn: Any,
    records: list[str],  # noqa: F811
    where: str,
) -> None:
    hide: dict[str, Any] = {"hide": ("token",)}
    if where == "process":
        hide["run_in"] = "process"
    task = open_app.task(name="spill", **hide)(process_tasks.spill)
    for secret in (PEM, "c4n4ry'\\"):
        await task.enqueue(None, secret, "group")
        await task.enqueue(None, secret, "raise")
    await run(open_app)
    said = views(conn)
    assert "cannot parse" in said
    nowhere(said)
    assert any("cannot parse" in each for each in records)
    for each in records:
        nowhere(each)


async def test_the_default_of_a_hidden_parameter(
    open_app: workrow.App,
    conn: Any,
    records: list[str],  # noqa: F811
) -> None:
    @open_app.task(name="t", hide=("pin",))
    async def t(
        n: int = 4711,
        pin: str = "c4n4ry-pin",
        key: Annotated[str, workrow.Secret] = "c4n4ry-key",
        token: SecretStr = SecretStr("c4n4ry-token"),
    ) -> None:
        raise ValueError(f"refused: {n} {pin} {key} {token.get_secret_value()}")

    await t.enqueue(None)
    await t.enqueue(None, pin="c4n4ry-other")
    await run(open_app)
    rows = conn.execute("SELECT errors->0->>'message' FROM workrow.jobs ORDER BY id").fetchall()
    assert rows == [("refused: 4711 *** *** ***",)] * 2
    for each in [*records, views(conn)]:
        nowhere(each)


def test_what_a_task_does_to_its_arguments_changes_nothing() -> None:
    args = {"keys": ["c4n4ry-1"]}
    values = values_of(args, {"keys"})
    args["keys"].clear()
    nowhere(concealed("c4n4ry-1", values()))
