"""At events of the sun."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from workrow.celery.exceptions import ImproperlyConfigured
from workrow.celery.schedules.base import BaseSchedule, schedstate

# Event: the height of the sun over the horizon in degrees (its edge at sunrise: the air bends light by 34'), the method
# of ephem's Observer, whether the sun's centre counts.
EVENTS = {
    "dawn_astronomical": ("-18", "next_rising", True),
    "dawn_nautical": ("-12", "next_rising", True),
    "dawn_civil": ("-6", "next_rising", True),
    "sunrise": ("-0:34", "next_rising", False),
    "solar_noon": ("0", "next_transit", False),
    "sunset": ("-0:34", "next_setting", False),
    "dusk_civil": ("-6", "next_setting", True),
    "dusk_nautical": ("-12", "next_setting", True),
    "dusk_astronomical": ("-18", "next_setting", True),
}


class solar(BaseSchedule):
    """Due at each event of the sun at a place; needs the package `ephem`.

    Args:
        event: a name of `EVENTS`.
        lat: degrees north (-90 to 90).
        lon: degrees east (-180 to 180).
        **kwargs: see `BaseSchedule`.

    Raises:
        ImproperlyConfigured: `ephem` is not installed.
        ValueError: an event that there is not, a place that is not on the earth.
    """

    max_search_days = 366

    def __init__(self, event: str, lat: float, lon: float, **kwargs: Any) -> None:
        try:
            self.ephem: Any = import_module("ephem")
        except ImportError as error:
            raise ImproperlyConfigured("solar schedules need the package ephem: pip install ephem") from error
        if event not in EVENTS:
            raise ValueError(f'Argument event "{event}" is invalid, must be one of {", ".join(sorted(EVENTS))}.')
        if lat < -90 or lat > 90:
            raise ValueError(f"Argument latitude {lat} is invalid, must be between -90 and 90.")
        if lon < -180 or lon > 180:
            raise ValueError(f"Argument longitude {lon} is invalid, must be between -180 and 180.")
        self.event = event
        self.lat = lat
        self.lon = lon
        horizon, self.method, self.use_center = EVENTS[event]
        self.cal = self.ephem.Observer()
        self.cal.lat, self.cal.lon, self.cal.horizon = str(lat), str(lon), horizon
        self.cal.elevation = self.cal.pressure = 0
        super().__init__(**kwargs)

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        start = self.maybe_make_aware(last_run_at).astimezone(UTC).replace(tzinfo=None)
        event: datetime = self._next_event(start).datetime()
        return self._until(event.replace(tzinfo=UTC))

    def is_due(self, last_run_at: datetime) -> schedstate:
        left = self.remaining_estimate(last_run_at).total_seconds()
        if left > 0:
            return schedstate(is_due=False, next=left)
        return schedstate(is_due=True, next=max(self.remaining_estimate(self.now()).total_seconds(), 0))

    def _next_event(self, start: Any) -> Any:
        """The next event after `start`; where there is none in `max_search_days`, the sun's midnight of the last."""
        options = {} if self.method == "next_transit" else {"use_center": self.use_center}
        for _ in range(self.max_search_days):
            try:
                return getattr(self.cal, self.method)(self.ephem.Sun(), start=start, **options)
            except self.ephem.CircumpolarError:
                start = self.cal.next_antitransit(self.ephem.Sun(), start=start)
        return start

    def __repr__(self) -> str:
        return f"<solar: {self.event} at latitude {self.lat}, longitude: {self.lon}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, solar):
            return NotImplemented
        return (self.event, self.lat, self.lon) == (other.event, other.lat, other.lon)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.__class__, (self.event, self.lat, self.lon)
