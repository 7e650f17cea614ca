"""The people to register: a CSV file with the columns name and email."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from examples.demo.errors import DemoError

ROLLED_BACK = "validate_only"


@dataclass(frozen=True)
class Person:
    """One row of the file."""

    name: str
    email: str
    rolled_back: bool
    """Registered in a transaction that rolls back."""


def read_people(path: Path) -> list[Person]:
    """The people of the CSV file at `path` (UTF-8, comma separated, with a header).

    Needs the columns name and email; ignores others, except `validate_only`, which marks who is registered in a
    transaction that rolls back. Without that column every tenth person is.

    Raises:
        DemoError: the file cannot be read, is not UTF-8, or has no such columns, or no people.
    """
    try:
        rows = _read_rows(path)
    except OSError as error:
        raise DemoError(f"cannot read {path}: {error.strerror}; name a CSV file with PEOPLE=path.csv") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DemoError(f"{path} is not UTF-8 at line {line}; save it as UTF-8") from error
    except csv.Error as error:
        raise DemoError(f"{path} is not a CSV file: {error}") from error
    if not rows:
        raise DemoError(f"{path} names no people; put a row below the header name,email")
    return [
        Person(
            name=row["name"].strip(),
            email=row["email"].strip(),
            rolled_back=_is_true(row[ROLLED_BACK]) if ROLLED_BACK in row else number % 10 == 0,
        )
        for number, row in enumerate(rows, start=1)
    ]


def _read_rows(path: Path) -> list[dict[str, str]]:
    # the whole file at once: an undecodable byte is then known by its place in the file
    text = path.read_bytes().decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    first = next(reader, [])
    header = [column.strip().lower() for column in first]
    missing = [column for column in ("name", "email") if column not in header]
    if missing:
        raise DemoError(
            f"{path} has no column {' and '.join(missing)} (its header is {','.join(first)!r}); "
            "the first line must be name,email"
        )
    return [
        # a short row is filled up: the service shall say what is wrong with it
        dict(zip(header, row + [""] * len(header), strict=False))
        for row in reader
        if any(field.strip() for field in row)
    ]


def _is_true(value: str) -> bool:
    return value.strip().lower() in {"1", "true", "yes", "y"}
