"""The house rules that a stranger relies on: short files, short functions, few rooms."""

import ast
from pathlib import Path

import pytest

import workrow

HOUSE = Path(workrow.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))
LINES, FUNCTION, ENTRIES = 300, 50, 12


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """With its signature, without its docstring."""
    first = function.body[0]
    docstring = ast.get_docstring(function, clean=False) is not None
    told = (first.end_lineno or 0) - first.lineno + 1 if docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - told


@pytest.mark.parametrize(("source", "lines"), [("def f(\n    x,\n):\n    'x'\n    a\n\n    b", 6), ("def f(): 1", 1)])
def test_a_function_is_measured_without_its_docstring(source: str, lines: int) -> None:
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    assert lines_of(function) == lines


def test_no_file_is_long() -> None:
    lengths = {file.relative_to(HOUSE): len(file.read_text().splitlines()) for file in FILES}
    assert len(lengths) > 100
    assert {file: lines for file, lines in lengths.items() if lines > LINES} == {}


def test_no_function_is_long() -> None:
    functions = [
        (f"{file.relative_to(HOUSE)}: {node.name}", lines_of(node))
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [(name, lines) for name, lines in functions if lines > FUNCTION] == []


def test_few_files_stand_beside_the_rooms() -> None:
    files = sorted(each.name for each in HOUSE.iterdir() if each.is_file())
    assert len(files) <= ENTRIES, files


def test_every_log_record_of_ours_is_one_line() -> None:
    """A line end in an error's message would begin a record of its own; `workrow.logs.get_logger` escapes it."""
    others = [file for file in FILES if "getLogger(__name__)" in file.read_text()]
    assert [str(file.relative_to(HOUSE)) for file in others] == []


def test_sql_is_ascii() -> None:
    """A database of another encoding than UTF8 holds it, too."""
    assert [str(path) for path in HOUSE.rglob("*.sql") if not path.read_text(encoding="utf-8").isascii()] == []
