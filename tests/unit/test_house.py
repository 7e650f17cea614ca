"""The house rules that a stranger relies on: short files, short functions, few rooms."""

import ast
from pathlib import Path

import pytest

import workrow

HOUSE = Path(workrow.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))
LINES, BODY, ENTRIES = 300, 50, 12


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize(("source", "lines"), [("def f():\n    'x'\n    a\n\n    b", 3), ("def f(): 1", 1)])
def test_a_body_is_measured_without_its_docstring(source: str, lines: int) -> None:
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    assert body_lines(function) == lines


def test_no_file_is_long() -> None:
    lengths = {file.relative_to(HOUSE): len(file.read_text().splitlines()) for file in FILES}
    assert len(lengths) > 100
    assert {file: lines for file, lines in lengths.items() if lines > LINES} == {}


def test_no_function_is_long() -> None:
    functions = [
        (f"{file.relative_to(HOUSE)}: {node.name}", body_lines(node))
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [(name, lines) for name, lines in functions if lines > BODY] == []


def test_few_files_stand_beside_the_rooms() -> None:
    files = sorted(each.name for each in HOUSE.iterdir() if each.is_file())
    assert len(files) <= ENTRIES, files
