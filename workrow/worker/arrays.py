"""Values of many jobs as parameters of one statement."""

from collections.abc import Iterable

from procrastinate import utils
from procrastinate.retry import RetryDecision


def seconds_until(decisions: list[RetryDecision]) -> list[float]:
    """How much later each of them is, by this machine's clock; the database adds it to its own."""
    now = utils.utcnow()
    return [max(0.0, (each.retry_at - now).total_seconds()) if each.retry_at else 0.0 for each in decisions]


def literal(words: Iterable[str]) -> str:
    """PostgreSQL's text form of an array of words that need no quotes; psycopg would look at each for what to quote."""
    return "{" + ",".join(words) + "}"


def unless_all_null(values: list[str | None]) -> list[str | None]:
    """Nothing instead of many NULLs: unnest() fills the shorter array up with them."""
    return [] if values.count(None) == len(values) else values
