"""The cells of a row become the values of a lead, or it is said what is wrong with them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from jobs.leads.phones import BadPhone, normalised_phone
from jobs.leads.places import country_code, time_zone_name, time_zone_of
from jobs.users.service import normalised_email

TEXT_MAX = 200
TAG_MAX = 50
TAGS_MAX = 30
VALUE_KEPT = 80
"""Characters of a wrong value that are reported."""
# what no rule of e-mail addresses could find fault with: the rest is asked of the validator
PLAIN_LOCAL = re.compile(r"[a-z0-9]+(?:[._+-][a-z0-9]+)*", re.ASCII)
UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
EMAIL_FIX = "write it as ada@example.com"


class BadValue(ValueError):
    """A value that no lead can have; ``fix`` says what would be one."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row: in which field (None: in the whole), the value's start, and what would be right."""

    field: str | None
    value: str
    problem: str
    fix: str


@dataclass(slots=True)
class Values:
    """What is known of a lead; ``id``: if it stands in the table."""

    email: str | None = None
    phone: str | None = None
    name: str | None = None
    company: str | None = None
    country: str | None = None
    time_zone: str | None = None
    source: str | None = None
    tags: tuple[str, ...] = ()
    id: int | None = None


def shown(value: str) -> str:
    """The start of a value in one line, as it can be stored and read."""
    start = "".join(each if each.isprintable() else "\ufffd" for each in value[:VALUE_KEPT])
    return f"{start}…" if len(value) > VALUE_KEPT else start


def email_of(text: str) -> str:
    """The address in lower case and normal form.

    Raises:
        BadValue: it is none.
    """
    text = text.strip()
    local, _, domain = text.lower().partition("@")
    if len(local) <= 64 and len(text) <= 200 and PLAIN_LOCAL.fullmatch(local) and (known := _domain(domain)):
        return f"{local}@{known}"
    try:
        return normalised_email(text)
    except EmailNotValidError as error:
        raise BadValue(f"no e-mail address: {shown(str(error))}", EMAIL_FIX) from None


@lru_cache(65_536)
def _domain(domain: str) -> str | None:
    """The domain in normal form; None if it is none, or no plain one."""
    try:
        return validate_email(f"x@{domain}", check_deliverability=False).domain.lower() if domain.isascii() else None
    except EmailNotValidError:
        return None


@lru_cache(16_384)  # companies, sources and names come again and again
def text_of(text: str) -> str:
    """A text in one line, single-spaced.

    Raises:
        BadValue: it is too long, or has control characters or half a character in it.
    """
    text = " ".join(text.split())
    if len(text) > TEXT_MAX:
        raise BadValue(f"longer than {TEXT_MAX} characters", "shorten it")
    if not text.isprintable() and (wrong := UNSTORABLE.search(text)):
        what = "half a character" if wrong[0] > "\xff" else "a NUL character" if "\0" in text else "control characters"
        raise BadValue(f"it has {what} in it", "remove them, or export the file as text anew")
    return text


@lru_cache(4096)
def country_of(text: str) -> str:
    """The country's two letters.

    Raises:
        BadValue: there is no such country.
    """
    try:
        return country_code(text)
    except ValueError:
        raise BadValue("no country", "write its two letters, as DE, or its English name") from None


@lru_cache(4096)
def time_zone_named(text: str) -> str:
    """The time zone's name.

    Raises:
        BadValue: there is no such time zone.
    """
    try:
        return time_zone_name(text)
    except ValueError:
        raise BadValue("no time zone", "write a name of the IANA database, as Europe/Berlin") from None


@lru_cache(4096)
def tags_of(text: str) -> tuple[str, ...]:
    """Tags, parted by commas, semicolons or bars: in lower case, each once.

    Raises:
        BadValue: one is too long, or there are too many.
    """
    return clean_tags(re.split(r"[,;|]", text))


def clean_tags(tags: list[str]) -> tuple[str, ...]:
    """The tags in lower case and in one line, each once.

    Raises:
        BadValue: one is too long, or there are too many.
    """
    clean = tuple(dict.fromkeys(tag for each in tags if (tag := text_of(each).lower())))
    if len(clean) > TAGS_MAX:
        raise BadValue(f"{len(clean)} tags", f"a lead has at most {TAGS_MAX}")
    if longest := next((tag for tag in clean if len(tag) > TAG_MAX), None):
        raise BadValue(f"the tag {longest[:20]!r}… is longer than {TAG_MAX} characters", "shorten it")
    return clean


PLAIN: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(("name", "company", "source"), text_of),
    "email": email_of,
    "country": country_of,
    "time_zone": time_zone_named,
}
NAME_PARTS = ("first_name", "last_name")


class Reader:
    """Rows of cells to values, by the columns of a file.

    Args:
        fields: which column each field is in.
        width: how many columns the header has.
        source: of leads whose row says none.
    """

    def __init__(self, fields: dict[str, int], width: int, source: str | None) -> None:
        self._plain = [(field, index, PLAIN[field]) for field, index in fields.items() if field in PLAIN]
        self._name_parts = [(part, fields[part]) for part in NAME_PARTS if part in fields]
        self._phone = fields.get("phone", -1)
        self._tags = fields.get("tags", -1)
        self._width = width
        self._source = source

    def read(self, cells: list[str]) -> Values | list[Problem]:
        """The row's values, or everything that is wrong with it. Cells that are missing at its end are empty."""
        problems: list[Problem] = []
        if len(cells) != self._width:
            if any(cells[self._width :]):
                extra = next(cell for cell in cells[self._width :] if cell)
                what = f"{len(cells)} cells, where the header has {self._width}"
                return [Problem(None, shown(extra), what, "put cells with a delimiter in them into quotes")]
            cells = cells + [""] * (self._width - len(cells))
        values = Values(source=self._source)
        for field, index, read in self._plain:
            if cell := cells[index]:
                try:
                    if value := read(cell):
                        setattr(values, field, value)
                except BadValue as error:
                    problems.append(Problem(field, shown(cell), str(error), error.fix))
        if self._name_parts and values.name is None:
            self._read_name(values, cells, problems)
        self._read_phone_and_tags(values, cells, problems)
        if not problems and values.email is None and values.phone is None:
            problems.append(Problem(None, "", "neither an e-mail address nor a phone number", "add one of them"))
        return problems or values

    def _read_name(self, values: Values, cells: list[str], problems: list[Problem]) -> None:
        """From a first and a last name."""
        parts = []
        for field, index in self._name_parts:
            try:
                parts.append(text_of(cells[index]))
            except BadValue as error:
                problems.append(Problem(field, shown(cells[index]), str(error), error.fix))
        values.name = " ".join(filter(None, parts)) or None

    def _read_phone_and_tags(self, values: Values, cells: list[str], problems: list[Problem]) -> None:
        if self._phone >= 0 and (cell := cells[self._phone].strip()):
            try:
                values.phone, region = normalised_phone(cell, values.country)
                values.country = values.country or region
            except BadPhone as error:
                problems.append(Problem("phone", shown(cell), str(error), error.fix))
        if self._tags >= 0 and (cell := cells[self._tags]):
            try:
                values.tags = tags_of(cell)
            except BadValue as error:
                problems.append(Problem("tags", shown(cell), str(error), error.fix))
        values.time_zone = values.time_zone or time_zone_of(values.country)
