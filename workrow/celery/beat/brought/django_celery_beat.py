"""The tables of django-celery-beat."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import psycopg
from psycopg.rows import dict_row

from workrow.celery import codec
from workrow.celery.beat.brought.entries import BringError, Found, Refusal, Refused
from workrow.celery.exceptions import CeleryError
from workrow.celery.foreign_errors import KombuError
from workrow.database.urls import libpq_url

SOURCE = "django-celery-beat"
BEFORE_START = timedelta(days=365 * 30)
"""So long before its last change an entry with a start counts from that was never sent, as there: it is sent then."""
FIELDS = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")
OPTIONS = ("queue", "exchange", "routing_key", "priority")


def entries(url: str) -> Iterator[Found | Refused]:
    """All periodic tasks of django-celery-beat 2.

    Args:
        url: of the database with its tables, which the role's ``search_path`` finds.

    Raises:
        BringError: there are no such tables, or the database cannot be reached.
    """
    statement = resources.files("workrow.celery.beat.brought.sql").joinpath("django_celery_beat.sql").read_bytes()
    try:
        with psycopg.connect(libpq_url(url), row_factory=dict_row) as connection:
            rows = connection.execute(statement).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise BringError(f"--django-celery-beat: no tables of django-celery-beat 2 there: {error}") from error
    except psycopg.Error as error:
        raise BringError(f"--django-celery-beat: {error}") from error
    for row in rows:
        try:
            yield _found(row)
        except Refusal as error:
            yield Refused(row["name"], str(error))


def _found(row: dict[str, Any]) -> Found:
    options = {name: row[name] for name in OPTIONS if row[name] is not None}
    if (expires := row["expires"] or row["expire_seconds"]) is not None:
        options["expires"] = expires
    options["headers"] = {**_read(row, "headers", "{}", dict), "periodic_task_name": row["name"]}
    changed = _aware(row["date_changed"]) or datetime.now(UTC)
    never = changed - BEFORE_START if row["start_time"] else changed
    return Found(
        row["name"],
        row["task"],
        _schedule(row),
        _read(row, "args", "[]", list),
        _read(row, "kwargs", "{}", dict),
        options,
        enabled=row["enabled"],
        one_off=row["one_off"],
        starts_at=_aware(row["start_time"]),
        ends_at=_aware(row["expires"]),
        last_run_at=_aware(row["last_run_at"]) or never,
    )


def _schedule(row: dict[str, Any]) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    if row["period"] is not None:
        found.append({"every": timedelta(**{row["period"]: row["every"]}).total_seconds()})
    if row["minute"] is not None:
        found.append({"crontab": {**{name: row[name] for name in FIELDS}, "timezone": row["timezone"]}})
    if row["event"] is not None:
        place = {"lat": float(row["latitude"]), "lon": float(row["longitude"])}
        found.append({"solar": {"event": row["event"], **place}})
    if (at := _aware(row["clocked_time"])) is not None:
        found.append({"at": at.isoformat()})
    if len(found) != 1:
        raise Refusal(f"it has {len(found) or 'no'} schedules, and must have one")
    return found[0]


def _read(row: dict[str, Any], name: str, empty: str, kind: type) -> Any:
    text = row[name] or empty
    try:
        found = codec.loads(text)
    except (CeleryError, KombuError, json.JSONDecodeError) as error:
        raise Refusal(f"its {name} are no JSON: {text[:100]}") from error
    if not isinstance(found, kind):
        raise Refusal(f"its {name} are no JSON {'list' if kind is list else 'object'}: {text[:100]}")
    return found


def _aware(at: datetime | None) -> datetime | None:
    """With USE_TZ off the columns have no zone; it is taken for UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
