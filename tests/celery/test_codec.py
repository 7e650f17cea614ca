"""The JSON of arguments and results: what comes in as what, in Celery's text and through jsonb."""

import enum
import json
import sys
import types
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb

from workrow.celery import codec
from workrow.celery.exceptions import ContentDisallowed, DecodeError, EncodeError, SerializerNotInstalled

SEEN = json.loads((Path(__file__).parent / "data" / "values.json").read_text())


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    pass


class Day(date):
    pass


@dataclass
class Point:
    x: int = 1


class WithJson:
    def __json__(self) -> Any:
        return {"at": (date(2026, 1, 2),)}


class Failing:
    def __json__(self) -> Any:
        raise ZeroDivisionError("zero")


NAMES = {
    **{kind.__name__: kind for kind in (Colour, Level, Text, Day, Point, WithJson, Failing, Decimal, UUID, ZoneInfo)},
    **{kind.__name__: kind for kind in (date, datetime, time, timedelta, timezone)},
    "UTC": UTC,
    "nan": float("nan"),
    "inf": float("inf"),
}


def value_of(seen: dict[str, Any]) -> Any:
    return eval(seen["value"], dict(NAMES))


def named(seen: dict[str, Any]) -> str:
    return str(seen["value"])


@pytest.mark.parametrize("seen", SEEN["read"], ids=named)
def test_a_value_is_sent_and_read_as_by_celery(seen: dict[str, Any]) -> None:
    text = codec.dumps(value_of(seen))
    assert text == seen["text"]
    assert ascii(codec.loads(text)) == seen["read"]


@pytest.mark.parametrize("seen", SEEN["refused"], ids=named)
def test_a_value_is_refused_as_by_celery(seen: dict[str, Any]) -> None:
    for write in (codec.dumps, codec.pack):
        with pytest.raises(EncodeError) as refused:
            write(value_of(seen))
        assert repr(refused.value.args[0]) == seen["error"]
        assert str(refused.value) == seen["text"]


@pytest.mark.parametrize("seen", SEEN["unreadable"], ids=named)
def test_what_looks_like_a_marker_and_is_none_cannot_be_read(seen: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as refused:
        codec.loads(codec.dumps(value_of(seen)))
    assert type(refused.value.args[0]).__name__ == seen["error"]
    with pytest.raises(DecodeError):
        codec.unpack(codec.pack(value_of(seen)))


def test_no_such_type_says_what_to_do() -> None:
    with pytest.raises(DecodeError, match=r"__type__='point': no such type is registered: call register_type of"):
        codec.loads('{"__type__": "point", "__value__": 1}')


LOST_BY_JSONB = [
    "a\0b", "\ud800", {"\0": 1}, {"\udfff": [1]}, float("nan"), float("-inf"), -0.0, 1e16, 1.5e300, {"b": 1, "a": 2},
    {"name": 1, "id": 2}, {"é": 1, "z": 2}, {"é": 1, "zz": 2}, {"z": {"b": 1, "a": date(2026, 1, 2)}, "y": b"\0"},
    {"__json__": "1"}, {"__json__": 1, "a": 2}, {"a": {"__json__": "[1]"}}, [[["\0"]]], {"__type__": "date", "b": "\0"},
]  # fmt: skip
KEPT_BY_JSONB = [
    None, True, 2**70, 0.1, 5e-324, 1e-7, 1.0, -10.0, -0.05, 123456789.0, "", "é😀", [], {}, {"a": 1, "bb": [1.5, "x"]},
    [[]], "__json__", {"z": 1, "é": 2}, {"z": 1, "aa": 2},
]  # fmt: skip


@pytest.mark.usefixtures("all_of_unicode")
def test_everything_comes_back_through_jsonb_as_from_celerys_text(conn: psycopg.Connection) -> None:
    deep: list[Any] = []
    for _ in range(700):
        deep = [deep]
    values = [*map(value_of, SEEN["read"]), *LOST_BY_JSONB, *KEPT_BY_JSONB, deep]
    packed = [codec.pack(value) for value in values]
    rows = conn.execute(
        "select value from unnest(%s::jsonb[]) with ordinality as v (value, n) order by n", [[*map(Jsonb, packed)]]
    )
    for value, (stored,) in zip(values, rows, strict=True):
        assert ascii(codec.unpack(stored)) == ascii(codec.loads(codec.dumps(value)))


@pytest.mark.parametrize("value", KEPT_BY_JSONB, ids=ascii)
def test_what_jsonb_keeps_is_stored_as_it_is(value: Any) -> None:
    assert codec.pack(value) == value


@pytest.mark.parametrize("value", LOST_BY_JSONB, ids=ascii)
def test_what_jsonb_would_change_is_stored_as_text(value: Any) -> None:
    assert '{"__json__": "' in json.dumps(codec.pack(value))


def test_only_the_smallest_part_is_stored_as_text() -> None:
    value = [[1, "a\0", {"a": 1e16}], {"id": 1}]
    assert codec.pack(value) == [[1, {"__json__": '"a\\u0000"'}, {"a": {"__json__": "1e+16"}}], {"id": 1}]


def test_a_type_of_ones_own_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_encoders", dict(codec._encoders))
    monkeypatch.setattr(codec, "_decoders", dict(codec._decoders))

    class Near(Point):
        pass

    codec.register_type(Point, "point", lambda point: point.x, Point)
    codec.register_type(Near, "near", lambda point: point.x, Near)
    codec.register_type(timedelta, None, timedelta.total_seconds)
    read = codec.unpack(codec.pack([Point(3), Near(4), Point(date(2026, 1, 2)), timedelta(1)]))
    assert read == [Point(3), Point(4), Point(date(2026, 1, 2)), 86400.0]
    assert codec.dumps(Near(4)) == '{"__type__": "point", "__value__": 4}'
    with pytest.raises(EncodeError, match="Object of type set is not JSON serializable"):
        codec.dumps(Point({1}))


def test_djangos_lazy_text_is_sent_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Promise:
        def __str__(self) -> str:
            return "lazy"

    monkeypatch.setitem(sys.modules, "django.utils.functional", types.SimpleNamespace(Promise=Promise))
    assert codec.dumps([Promise()]) == '["lazy"]'


@pytest.mark.parametrize("text", ["{", "[1,]", "nan"])
def test_no_json_cannot_be_read(text: str) -> None:
    with pytest.raises(DecodeError):
        codec.loads(text)


def test_other_serializers_are_refused_by_name() -> None:
    for name in (None, "json", "application/json"):
        codec.check_serializer(name)
    for name in ("pickle", "yaml", "msgpack", "application/x-python-serialize"):
        with pytest.raises(ContentDisallowed, match=f"task_serializer='{name}': .* use 'json', and register_type"):
            codec.check_serializer(name, "task_serializer")
    with pytest.raises(SerializerNotInstalled, match="serializer='nope'") as unknown:
        codec.check_serializer("nope")
    assert not isinstance(unknown.value, ContentDisallowed)


@pytest.mark.parametrize(
    "value",
    [
        [], {}, (), [1, None, True, "a"], ("a", 2**63, 2**64), ["\0"], ["\ud800"], ["é"], {"a": 1, "bb": "x"},
        {"bb": 1, "a": 2},
        {"a": "\0"}, {"\0": 1}, {1: 2}, {"__json__": "1"}, {"__type__": "date", "__value__": "2026-01-02"}, [[1]],
        {"a": [1.5]}, "text",
        "\0", Level.LOW, [Level.LOW], {"é": 1},
    ],
)  # fmt: skip
def test_small_values_are_stored_by_the_short_way_as_by_the_long_one(value: Any) -> None:
    stored = codec.pack(value)
    assert json.dumps(stored) == json.dumps(codec._packed(json.loads(codec.dumps(value))))
    assert stored is not value or isinstance(value, str)
    try:
        expected = codec.loads(codec.dumps(value))
    except DecodeError:
        return
    assert codec.unpack(stored) == expected
