"""Periodic tasks and the time, as an app knows them."""

from datetime import datetime, tzinfo
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from workrow.celery import clock
from workrow.celery.canvas.signature import Signature
from workrow.celery.signals import Signal


class Periodic:
    """The part of an app that has a timetable.

    Attributes:
        on_configure: sent when settings have been read, which is when the first is needed.
        on_after_configure: sent then too, after entries were added that waited for it. Receivers call
            `add_periodic_task`.
        on_after_finalize: sent when all tasks are there.
    """

    conf: Any

    @cached_property
    def on_configure(self) -> Signal:
        return Signal("app.on_configure")

    @cached_property
    def on_after_configure(self) -> Signal:
        return Signal("app.on_after_configure", ["source"])

    @cached_property
    def on_after_finalize(self) -> Signal:
        return Signal("app.on_after_finalize")

    def add_periodic_task(
        self, schedule: Any, sig: Any, args: Any = (), kwargs: Any = (), name: str | None = None, **opts: Any
    ) -> str:
        """Let beat send a call again and again: one more entry of ``beat_schedule``.

        Args:
            schedule: seconds, a timedelta, or a schedule such as `crontab`.
            sig: the call, or a task.
            args, kwargs: come before, and beside, those of the call.
            name: of the entry. By default what the call looks like, ``proj.add(2, 3)``: two that look the same are
                one entry, and the last of them is in force.
            **opts: of ``apply_async``.

        Returns:
            The name of the entry.
        """
        call: Signature = sig.signature() if not isinstance(sig, Signature) and hasattr(sig, "signature") else sig
        call = call.clone(args, dict(kwargs), **opts)
        entry = {
            "schedule": schedule,
            "task": call.name,
            "args": call.args,
            "kwargs": call.kwargs,
            "options": call.options,
        }
        key = name or repr(call)
        if self.conf.configured:
            self._add_entry(key, entry)
        else:
            self._entries_ahead.append((key, entry))
        return key

    @cached_property
    def _entries_ahead(self) -> list[tuple[str, dict[str, Any]]]:
        """Those that were added before anybody needed settings: what the settings themselves say comes first."""
        return []

    def _tell_notices(self) -> None:
        """Of settings that mean nothing here."""
        raise NotImplementedError

    def _configured(self) -> None:
        """Settings have been read."""
        self.on_configure.send(self)
        self._tell_notices()
        while self._entries_ahead:
            self._add_entry(*self._entries_ahead.pop(0))
        self.on_after_configure.send(self, source=self.conf)

    def _add_entry(self, key: str, entry: dict[str, Any]) -> None:
        self.conf.beat_schedule[key] = entry

    # ---------------------------------------------------------------- the time

    @cached_property
    def timezone(self) -> tzinfo:
        """``timezone`` of the settings; without one UTC, or with ``enable_utc`` off that of the computer.

        Raises:
            ZoneInfoNotFoundError: there is no zone of that name.
        """
        zone = self.conf.get("timezone")
        if isinstance(zone, tzinfo):
            return zone
        if zone:
            return ZoneInfo(zone)
        return clock.local_zone() if self.conf.get("enable_utc") is False else ZoneInfo("UTC")

    def now(self) -> datetime:
        """The time, in the app's zone."""
        return clock.now().astimezone(self.timezone)

    def uses_utc_timezone(self) -> bool:
        """Whether the app's zone is UTC because none was set."""
        return self.timezone == ZoneInfo("UTC")
