"""What a lead is worth: a table of rules, each with its points, applied where the leads are."""

from dataclasses import dataclass
from functools import cache

from sqlalchemy import ColumnElement, case, func, literal, update
from sqlalchemy.dialects.postgresql import JSONB, array
from sqlalchemy.sql.dml import ReturningUpdate

from jobs.leads.models import Lead

VERSION = 1
"""Raise it with every change below: leads that were scored by an earlier one are then scored anew."""
QUALIFIED_FROM = 50
FREE_MAIL = (
    *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com", "aol.com"),
    *("gmx.de", "gmx.net", "web.de", "proton.me", "protonmail.com", "mail.ru", "qq.com", "163.com"),
)
THROW_AWAY = ("mailinator.com", "guerrillamail.com", "10minutemail.com", "yopmail.com", "trashmail.com")
ROLES = ("info", "sales", "office", "contact", "admin", "support", "noreply", "no-reply", "hello")
WARM = ("referral", "demo", "trial", "inbound", "website")
BY_RULES = ("new", "qualified", "unqualified")
"""The statuses that rules give and take; the others are given by people."""


@dataclass(frozen=True, slots=True)
class Rule:
    """So many points for who fulfils the condition; ``name`` stands in ``leads.reasons``, with what it says."""

    name: str
    points: int
    says: str
    condition: ColumnElement[bool]


_local, _domain = func.split_part(Lead.email, "@", 1), func.split_part(Lead.email, "@", 2)
RULES = (
    Rule("business-email", 25, "an address of their own company", _domain.not_in(FREE_MAIL + THROW_AWAY)),
    Rule("free-email", 5, "an address at a free mail provider", _domain.in_(FREE_MAIL)),
    Rule("throw-away-email", -40, "an address that is gone in ten minutes", _domain.in_(THROW_AWAY)),
    Rule("role-email", -10, "an address of an office, not of a person", _local.in_(ROLES)),
    Rule("phone", 20, "can be called", Lead.phone.is_not(None)),
    Rule("time-zone", 5, "it is known when they may be called", Lead.time_zone.is_not(None)),
    Rule("company", 15, "the company is known", Lead.company.is_not(None)),
    Rule("full-name", 10, "first and last name are known", Lead.name.contains(" ")),
    Rule("warm-source", 20, "they came to us", func.lower(Lead.source).in_(WARM)),
)


@cache
def _scoring() -> tuple[ColumnElement[int], ColumnElement[list[object]]]:
    """The score, and its reasons as JSON."""
    points = (case((rule.condition, rule.points), else_=0) for rule in RULES)
    reasons = (
        case((rule.condition, literal({"rule": rule.name, "points": rule.points, "says": rule.says}, JSONB)))
        for rule in RULES
    )
    return sum(points, start=literal(0)), func.to_jsonb(func.array_remove(array(reasons), None))


def scoring(*which: ColumnElement[bool]) -> ReturningUpdate[int, str, int]:
    """The statement that scores these leads, except those that have been by these rules.

    It returns their ids, statuses and scores.
    """
    score, reasons = _scoring()
    status = case((score >= QUALIFIED_FROM, "qualified"), else_="unqualified")
    return (
        update(Lead)
        .where(*which, Lead.rules_version != VERSION)
        .values(
            score=score,
            reasons=reasons,
            rules_version=VERSION,
            status=case((Lead.status.in_(BY_RULES), status), else_=Lead.status),
        )
        .returning(Lead.id, Lead.status, Lead.score)
        .execution_options(synchronize_session=False)
    )
