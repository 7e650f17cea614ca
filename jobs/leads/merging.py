"""Which rows are leads that are known, and which are new.

The rule: a row is the lead that has its e-mail address; or else the one with its phone number, unless both have
addresses. Two addresses are never merged, for one of them would be lost: they are two people at one switchboard.
What a lead has stays; the row fills what it lacks, and its tags are added.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from jobs.leads.values import Values

FILLED = tuple(each.name for each in fields(Values) if each.name not in ("id", "tags"))


@dataclass(slots=True)
class Sorted:
    """What a batch of rows comes to.

    Attributes:
        new: leads that were not known, each once.
        additions: what rows say of known leads, by id.
        merged: how many rows were another one's or a known one's.
    """

    new: list[Values] = field(default_factory=list)
    additions: dict[int, Values] = field(default_factory=dict)
    merged: int = 0


def sort(rows: Iterable[Values], known: Iterable[tuple[int, str | None, str | None]]) -> Sorted:
    """Find each row's lead.

    Args:
        rows: in the order of the file; the first row of a new lead is filled by the later ones.
        known: id, e-mail address and phone number of the leads that have one of the rows', the oldest first.
    """
    result = Sorted()
    by_email: dict[str, Values] = {}
    by_phone: dict[str, Values] = {}
    without_email: dict[str, Values] = {}  # by phone, too

    def remember(lead: Values) -> None:
        if lead.email:
            by_email.setdefault(lead.email, lead)
        if lead.phone:
            by_phone.setdefault(lead.phone, lead)
            if not lead.email:
                without_email.setdefault(lead.phone, lead)

    for id, email, phone in known:
        remember(Values(email=email, phone=phone, id=id))
    for row in rows:
        if row.email:
            found = by_email.get(row.email) or without_email.pop(row.phone or "", None)
        else:
            found = by_phone.get(row.phone or "")
        if found is None:
            result.new.append(row)
            remember(row)
            continue
        result.merged += 1
        fill(found, row)
        remember(found)
        if found.id is not None:
            result.additions[found.id] = found
    return result


def fill(lead: Values, row: Values) -> None:
    """What the lead lacks, from the row."""
    for name in FILLED:
        if getattr(lead, name) is None:
            setattr(lead, name, getattr(row, name))
    lead.tags = tuple(dict.fromkeys(lead.tags + row.tags))
