"""CSV files as they come: their encoding and layout, and their records, of which none is longer than a bound."""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.leads.columns import SAID, field_of

FOR_EXCEL = re.compile("sep=.?", re.IGNORECASE)
DELIMITERS = ",;\t|"
RECORD_MAX = 65_536
"""Characters of a record that are read; a longer one is refused, and so is a quote that has not closed by then."""
COLUMNS_MAX = 1_000
IGNORED_KEPT = 50
ENCODINGS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252 (Latin-1)"}
CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class UnusableFile(ValueError):
    """Nothing of this file can be imported; it says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is to be read.

    Attributes:
        encoding: Python's name of it.
        delimiter: between its cells.
        header: its column names.
        fields: which column, counted from 0, each field of a lead is in.
        ignored: names of columns that no lead has; the first ones.
    """

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    fields: dict[str, int]
    ignored: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """As it is kept with the import."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Layout":
        fields = dict(sorted(kept["fields"].items(), key=lambda each: each[1]))  # jsonb keeps no order
        return cls(kept["encoding"], kept["delimiter"], tuple(kept["header"]), fields, tuple(kept["ignored"]))


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that cannot be cut into cells: how it begins, what is wrong, and what would help."""

    start: str
    problem: str
    fix: str


Record = tuple[int, "list[str] | Broken"]
"""Its number, 1 being the first, as a spreadsheet counts rows; and its cells."""


class _Unfinished(Exception):
    """Quotes are open, and there are no more lines, or too many."""


class Records:
    """The records of a file that arrives in pieces."""

    def __init__(self, encoding: str, delimiter: str) -> None:
        decoder = decoder_of(encoding)
        self._decode = io.IncrementalNewlineDecoder(decoder, translate=True).decode
        self._partial = ""
        self._lines: deque[str] = deque()
        self._taken: list[str] = []
        self._reader = csv.reader(self._take(), delimiter=delimiter)
        self._delimiter = delimiter
        self._number = 0

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[Record]:
        """The records that are complete now; with ``final``, the rest."""
        self._split(self._decode(data, final), final)
        while self._lines:
            if len(self._lines[0]) > RECORD_MAX:
                yield self._next(_overlong(self._lines.popleft()))
                continue
            self._taken.clear()
            try:
                cells = next(self._reader)
            except _Unfinished:
                self._reader = csv.reader(self._take(), delimiter=self._delimiter)
                waits = not final and not self._lines
                self._lines.extendleft(reversed(self._taken if waits else self._taken[1:]))
                if waits:
                    return
                yield self._next(_unclosed(self._taken[0]))
            else:
                yield self._next(cells)

    def _next(self, cells: "list[str] | Broken") -> Record:
        self._number += 1
        return self._number, cells

    def _split(self, text: str, final: bool) -> None:
        """Into lines. Of one that is too long only the start is kept, so that it costs no memory."""
        lines = text.split("\n")
        lines[0] = self._partial + lines[0]
        self._partial = lines.pop()[: RECORD_MAX + 1]
        self._lines.extend(f"{line}\n" for line in lines)
        if final and self._partial:
            self._lines.append(self._partial)
            self._partial = ""

    def _take(self) -> Iterator[str]:
        """Lines for the reader, who asks for more than one if quotes are open."""
        while True:
            if not self._lines or (self._taken and sum(map(len, self._taken)) + len(self._lines[0]) > RECORD_MAX):
                raise _Unfinished
            self._taken.append(self._lines.popleft())
            yield self._taken[-1]


def _overlong(line: str) -> Broken:
    return Broken(line, f"a line of more than {RECORD_MAX:,} characters", "shorten it, or break the line where it ends")


def _unclosed(line: str) -> Broken:
    return Broken(line, "a quote that never closes", 'close it, or write quotes within a cell as ""')


def decoder_of(encoding: str) -> codecs.IncrementalDecoder:
    """A strict decoder; of Windows-1252 one that takes the five bytes which are nothing in it, as browsers do."""
    errors = "workrow.leads.as_latin1" if encoding == "cp1252" else "strict"
    return codecs.getincrementaldecoder(encoding)(errors)


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("workrow.leads.as_latin1", _as_latin1)


def layout_of(sample: bytes, encoding: str, *, whole: bool) -> Layout:
    """How to read a file, by its first bytes.

    Args:
        sample: the first 64 KiB, or more.
        encoding: Python's name of it.
        whole: the sample is the whole file.

    Raises:
        UnusableFile: it is no CSV file, or has no column by which a lead could be reached.
    """
    text = decoder_of(encoding).decode(sample, whole)
    if sample[:4] == b"PK\x03\x04":
        raise UnusableFile("this is an Excel workbook or a ZIP archive: save it as CSV (UTF-8) and send that")
    if len(CONTROLS.findall(text)) > max(4, len(text) // 20):
        raise UnusableFile("this is a binary file, or UTF-16 without a byte order mark: save it as CSV in UTF-8")
    headers = {delimiter: _header(sample, encoding, delimiter, whole) for delimiter in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda each: (sum(map(bool, map(field_of, headers[each]))), len(headers[each])))
    header = headers[delimiter]
    fields: dict[str, int] = {}
    for index, name in enumerate(header):
        if (known := field_of(name)) in fields:
            raise UnusableFile(
                f"columns {fields[known] + 1} ({header[fields[known]]!r}) and {index + 1} ({name!r}) are both the "
                f"{known}: rename or remove one"
            )
        if known:
            fields[known] = index
    if not fields.keys() & {"email", "phone"}:
        seen = ", ".join(repr(name[:40]) for name in header[:10])
        raise UnusableFile(f"no column is an e-mail or a phone: the first row says {seen}; known are {SAID}")
    ignored = tuple(name[:80].replace("\0", "") for name in header if not field_of(name))[:IGNORED_KEPT]
    return Layout(encoding, delimiter, tuple(name[:80].replace("\0", "") for name in header), fields, ignored)


def is_header(cells: list[str] | Broken) -> bool:
    """Whether the record is more than an empty line, or ``sep=;``, by which Excel is told the delimiter."""
    if isinstance(cells, Broken):
        return True
    said = [cell.strip() for cell in cells if cell.strip()]
    return bool(said) and not (len(said) == 1 and FOR_EXCEL.fullmatch(said[0]))


def _header(sample: bytes, encoding: str, delimiter: str, whole: bool) -> list[str]:
    records = Records(encoding, delimiter).feed(sample, final=whole)
    cells = next((cells for _, cells in records if is_header(cells)), [])
    if isinstance(cells, Broken):
        raise UnusableFile(f"the header, {cells.start[:40]!r}, has {cells.problem}: {cells.fix}")
    if not cells:
        if whole:
            raise UnusableFile("there is no header: the first row has to name the columns")
        raise UnusableFile(f"the first row does not end within {RECORD_MAX:,} characters: it has to name the columns")
    if len(cells) > COLUMNS_MAX:
        raise UnusableFile(f"{len(cells):,} columns: at most {COLUMNS_MAX:,} are read; remove what is not needed")
    return [cell.strip() for cell in cells]
