"""``python -m tests.drop_in`` writes the table of procrastinate's names in docs/drop-in.md anew; the verdicts stay.

A name that is new in the installed procrastinate gets a question mark, which a test finds; one that is gone loses its
row.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import procrastinate
from procrastinate.cli import add_arguments, create_parser

PAGE = Path(__file__).parents[1] / "docs" / "drop-in.md"
PACKAGE = Path(procrastinate.__file__).parent
HEADING = "## Every name\n"
INTRODUCTION = """\
Of procrastinate 3.10, with `workrow.App` in its App's place. *same*: procrastinate's own, or ours with the same effect.
`make drop-in` writes the list from the installed package; a test fails when a name is missing or new.
"""
LEFT_OUT = ("__main__", "migrations", "_stubs")
ROW = re.compile(r"^\| `(?P<name>[^`]+)` \| (?P<verdict>.*) \|$", re.MULTILINE)


def names() -> dict[str, list[str]]:
    """Public names by module, from the source: so that neither Django nor aiopg has to be there."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(("procrastinate", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        if not any(part in module.split(".") for part in LEFT_OUT):
            found[module] = sorted(set(_public(ast.parse(path.read_text()).body)))
    found["procrastinate.__init__"] = sorted([*found.pop("procrastinate"), *procrastinate.__all__])
    return {**{module: each for module, each in found.items() if each}, "the command line": sorted(_commands())}


def _public(body: list[ast.stmt], inside: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            given = [node.name]
        elif isinstance(node, ast.Assign):
            given = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            given = [node.target.id]
        else:
            continue
        for name in given:
            if not name.startswith("_") and not (len(name) == 1 and name.isupper()):
                yield f"{inside}{name}"
                if isinstance(node, ast.ClassDef) and not inside:
                    yield from _public(node.body, f"{name}.")


def _commands() -> Iterator[str]:
    for action in add_arguments(create_parser())._actions:
        for name, parser in (action.choices or {}).items() if hasattr(action.choices, "items") else ():
            yield f"procrastinate {name}"
            for option in parser._actions:
                flags = option.option_strings or [str(option.dest).upper()]
                if "--help" not in flags:
                    yield f"procrastinate {name} {flags[-1]}"


def verdicts() -> dict[str, str]:
    """What the page says of each name."""
    sections = PAGE.read_text().partition(HEADING)[2].split("\n### ")
    return {
        f"{section.partition(chr(10))[0]}: {row['name']}": row["verdict"]
        for section in sections
        for row in ROW.finditer(section)
    }


def written() -> str:
    """The table as it should be."""
    known, lines = verdicts(), [HEADING]
    lines.append(INTRODUCTION)
    for module, each in names().items():
        lines += [f"### {module}\n", "| name | |", "|---|---|"]
        lines += [f"| `{name}` | {known.get(f'{module}: {name}', '?')} |" for name in each]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(f"{PAGE.read_text().partition(HEADING)[0].rstrip()}\n\n{written()}")
