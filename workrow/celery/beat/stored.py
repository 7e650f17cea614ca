"""Entries of beat that stand in the database, in ``workrow.celery_entries``."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from workrow.celery import codec
from workrow.celery.beat.entry import ScheduleEntry
from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.schedules import crontab, schedule, solar
from workrow.celery.schedules.base import BaseSchedule, schedstate
from workrow.logs import get_logger

logger = get_logger(__name__)

KINDS = ("crontab", "every", "solar", "at")


class Stored(NamedTuple):
    """A row of ``workrow.celery_entries``; arguments and options as `workrow.celery.codec.pack` makes them."""

    name: str
    task: str
    schedule: Any
    args: Any
    kwargs: Any
    options: Any
    one_off: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    last_run_at: datetime | None = None


class clocked(BaseSchedule):
    """Due at one time, and from then on.

    Args:
        clocked_time: without zone: UTC.
        **kwargs: see `BaseSchedule`.
    """

    def __init__(self, clocked_time: datetime, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clocked_time = self.maybe_make_aware(clocked_time)

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        return self._until(self.clocked_time)

    def is_due(self, last_run_at: datetime) -> schedstate:
        left = self.remaining_estimate(last_run_at).total_seconds()
        return schedstate(is_due=left <= 0, next=max(left, 0))

    def __repr__(self) -> str:
        return f"<clocked: {self.clocked_time}>"


class StoredEntry(ScheduleEntry):
    """An entry of a row.

    Args:
        app: the app of the door.
        row: the row.

    Raises:
        ImproperlyConfigured: the row makes no sense.
    """

    def __init__(self, app: Any, row: Stored) -> None:
        try:
            made = schedule_of(app, row.schedule)
            args, kwargs, options = (codec.unpack(each) for each in (row.args, row.kwargs, row.options))
        except ImproperlyConfigured:
            raise
        except Exception as error:
            raise ImproperlyConfigured(f"{row.name}: {error}") from error
        if not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(options, dict):
            raise ImproperlyConfigured(f"{row.name}: args must be a list, kwargs and options objects")
        super().__init__(app, row.name, row.task, made, args, kwargs, options)
        self.one_off = row.one_off
        self.counts_from = row.last_run_at
        self.starts_at, self.ends_at = row.starts_at, row.ends_at
        self._row = row

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Whether it is to be sent, and the seconds after which to ask again."""
        now = self.app.now()
        if self.starts_at is not None and now < self.starts_at:
            return schedstate(is_due=False, next=(self.starts_at - now).total_seconds())
        if self.ends_at is not None and now >= self.ends_at:
            return schedstate(is_due=False, next=(datetime.max.replace(tzinfo=now.tzinfo) - now).total_seconds())
        return super().is_due(last_run_at.astimezone(self.schedule.tz))

    @property
    def zone(self) -> str | None:
        told = self._row.schedule.get("crontab") or {}
        return told.get("timezone") or super().zone

    def __str__(self) -> str:
        window = [f"{word} {at}" for word, at in (("from", self.starts_at), ("until", self.ends_at)) if at]
        return ", ".join([super().__str__(), *window, *(["once"] if self.one_off else [])])


def schedule_of(app: Any, told: Any) -> BaseSchedule:
    """The schedule that a row tells.

    Args:
        app: the app of the door, whose zone holds where no other is told.
        told: see the table.

    Raises:
        ImproperlyConfigured: it tells none.
        Exception: what a schedule raises that is told wrong.
    """
    kinds = [kind for kind in KINDS if isinstance(told, Mapping) and kind in told]
    if len(kinds) != 1:
        raise ImproperlyConfigured(f"schedule={told!r}: must be an object with one of {', '.join(KINDS)}")
    (kind,) = kinds
    if kind == "every":
        if not float(told["every"]) > 0:
            raise ImproperlyConfigured(f"every={told['every']!r}: must be more than 0 seconds")
        return schedule(timedelta(seconds=float(told["every"])), bool(told.get("relative")), app=app)
    if kind == "at":
        return clocked(datetime.fromisoformat(told["at"]), app=app)
    if kind == "solar":
        return solar(**told["solar"], app=app)
    fields = dict(told["crontab"])
    zone = fields.pop("timezone", None)
    made = crontab(**fields, app=app)
    if zone:
        made.tz = ZoneInfo(zone)
    return made


class Shelf:
    """The rows of an app, as of the last look.

    Args:
        app: the app of the door.
        declared: entries of ``beat_schedule``, which go before rows of the same name.

    Attributes:
        entries: of the rows, by their names; a row that makes no sense has none, and the log says why.
    """

    def __init__(self, app: Any, declared: Mapping[str, Any]) -> None:
        self._app = app
        self._names = frozenset(declared)
        self._rows: list[Stored] = []
        self.entries: dict[str, StoredEntry] = {}

    def differs(self, rows: list[tuple[Any, ...]]) -> bool:
        """Take the rows as they are now. Returns whether they are others than before."""
        found = [Stored(*row) for row in rows]
        if found == self._rows:
            return False
        before = {row.name: row for row in self._rows}
        kept = self.entries
        self._rows, self.entries = found, {}
        for row in found:
            if before.get(row.name) == row:
                if row.name in kept:
                    self.entries[row.name] = kept[row.name]
            elif row.name in self._names:
                logger.warning("beat: %s stands in beat_schedule and in the database: the former is sent", row.name)
            else:
                self._take(row)
        return True

    def _take(self, row: Stored) -> None:
        try:
            self.entries[row.name] = StoredEntry(self._app, row)
        except ImproperlyConfigured as error:
            logger.error("beat: an entry of the database is not sent: %s", error)
