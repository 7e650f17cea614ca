"""Countries and their time zones, from the tables that come with the time zone database."""

from functools import cache
from importlib.resources import files
from zoneinfo import available_timezones

ALSO = {"UK": "GB", "UNITED KINGDOM": "GB", "GREAT BRITAIN": "GB", "USA": "US", "UNITED STATES OF AMERICA": "US"}


@cache
def _table(name: str) -> list[list[str]]:
    lines = files("tzdata.zoneinfo").joinpath(name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


@cache
def _countries() -> dict[str, str]:
    table = _table("iso3166.tab")
    return {code: code for code, _ in table} | {name.upper(): code for code, name in table} | ALSO


@cache
def _time_zones() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


@cache
def _only_zones() -> dict[str, str]:
    zones: dict[str, list[str]] = {}
    for code, _, zone, *_ in _table("zone.tab"):
        zones.setdefault(code, []).append(zone)
    return {code: names[0] for code, names in zones.items() if len(names) == 1}


def country_code(text: str) -> str:
    """ISO 3166's two letters of a country, given so or by its English name.

    Raises:
        ValueError: there is no such country.
    """
    if code := _countries().get(text.strip().upper()):
        return code
    raise ValueError("no country")


def time_zone_name(text: str) -> str:
    """A time zone's name as it is written.

    Raises:
        ValueError: there is no such time zone.
    """
    if name := _time_zones().get(text.strip().lower()):
        return name
    raise ValueError("no time zone")


def time_zone_of(country: str | None) -> str | None:
    """The time zone of a country that has one only."""
    return _only_zones().get(country) if country else None
