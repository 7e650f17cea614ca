"""What a task's annotations say of its arguments, without a database."""

from __future__ import annotations

import ast
import dataclasses
import enum
import ipaddress
import json
import math
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NewType

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from procrastinate.testing import InMemoryConnector

import workrow
from workrow.arguments.conversion import Conversion, same
from workrow.arguments.payload import Misfit
from workrow.errors import ResultError

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]

UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    at: date


@dataclasses.dataclass
class Money:
    amount: Decimal
    currency: str = "EUR"


@dataclasses.dataclass
class Flagged:
    flag: Literal[1]
    names: set[str] = dataclasses.field(default_factory=set)


class Item(pydantic.BaseModel):
    sku: uuid.UUID
    price: Money
    tags: frozenset[str] = frozenset()
    note: str | None = pydantic.Field(default=None, alias="comment")


class SpecialItem(Item):
    discount: Decimal


class Hidden(pydantic.BaseModel):
    password: pydantic.SecretStr


class Frozen(Hidden, frozen=True):
    pass


class Opaque:
    pass


def declare(func: Callable[..., Any], **options: Any) -> Any:
    return workrow.App(connector=InMemoryConnector()).task(name="t", **options)(func)


def round_trip(annotation: Any, value: Any) -> Any:
    conversion = Conversion(annotation)
    return conversion.from_json(json.loads(json.dumps(conversion.to_json(value), allow_nan=False)))


finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
zones = st.builds(timezone, st.integers(-23 * 60, 23 * 60).map(lambda minutes: timedelta(minutes=minutes)))
decimals = st.decimals(allow_nan=False, allow_infinity=False)
money = st.builds(Money, decimals, text)
items = st.builds(Item.model_construct, sku=st.uuids(), price=money, tags=st.frozensets(text), note=st.none() | text)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    datetime: st.datetimes(timezones=st.none() | zones),
    date: st.dates(),
    time: st.times(),
    timedelta: st.timedeltas(),
    uuid.UUID: st.uuids(),
    Decimal: decimals,
    bytes: st.binary(),
    Color: st.sampled_from(Color),
    Level: st.sampled_from(Level),
    Point: st.builds(Point, st.integers(), st.dates()),
    Money: money,
    Item: items,
    list[uuid.UUID]: st.lists(st.uuids()),
    dict[str, Decimal]: st.dictionaries(text, decimals),
    dict[int, date]: st.dictionaries(st.integers(), st.dates()),
    dict[uuid.UUID, list[Money]]: st.dictionaries(st.uuids(), st.lists(money, max_size=2), max_size=3),
    set[date]: st.sets(st.dates()),
    tuple[int, ...]: st.lists(st.integers()).map(tuple),
    tuple[int, Color]: st.tuples(st.integers(), st.sampled_from(Color)),
    list[float]: st.lists(finite),
    datetime | None: st.none() | st.datetimes(),
    int | Color: st.integers() | st.sampled_from(Color),
    Money | uuid.UUID: money | st.uuids(),
    Sequence[date]: st.lists(st.dates()),
    Literal["a", 1]: st.sampled_from(["a", 1]),
    dict[str, Any]: st.dictionaries(text, st.none() | st.integers() | finite | text | st.lists(st.booleans())),
    ipaddress.IPv4Address: st.ip_addresses(v=4),
    Path: text.filter(bool).map(Path),
    pydantic.SecretStr: text.map(pydantic.SecretStr),
    pydantic.SecretBytes: st.binary().map(pydantic.SecretBytes),
    pydantic.Secret[date]: st.dates().map(pydantic.Secret[date]),
    Hidden: st.builds(Hidden, password=text),
    list[Hidden | None]: st.lists(st.none() | st.builds(Hidden, password=text)),
    dict[str, pydantic.SecretBytes]: st.dictionaries(text, st.binary().map(pydantic.SecretBytes)),
    set[pydantic.SecretStr]: st.sets(text.map(pydantic.SecretStr)),
    Annotated[str, workrow.Secret]: text,
}


@pytest.mark.parametrize("annotation", VALUES, ids=str)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_comes_back_equals_what_was_given(annotation: Any, data: st.DataObject) -> None:
    value = data.draw(VALUES[annotation])
    again = round_trip(annotation, value)
    assert again == value
    assert type(again) is type(value)
    assert same(value, again)


@pytest.mark.parametrize(
    ("annotation", "value", "reason"),
    [
        (datetime, "2026-01-01T00:00:00Z", "valid datetime"),
        (datetime, date(2026, 1, 1), "valid datetime"),
        (date, datetime(2026, 1, 1), "valid date"),
        (uuid.UUID, "6806c632-21b6-4c46-a9fd-eb820822ae21", "instance of UUID"),
        (Decimal, 1.5, "instance of Decimal"),
        (Decimal, Decimal("nan"), "finite number"),
        (Color, "red", "instance of"),
        (Money, {"amount": Decimal(1)}, "instance of Money"),
        (list[int], (1, 2), "valid list"),
        (list[int], [1, "2"], "1: Input should be a valid integer"),
        (list[bool], [1], "valid boolean"),
        (Annotated[int, pydantic.Field(gt=0)], 0, "greater than 0"),
        (Annotated[str, pydantic.StringConstraints(max_length=2)], "abc", "at most 2"),
        # would come back as something else
        (datetime | str, "2026-01-01T00:00:00", "it would come back from JSON as datetime"),
        (Decimal | str, "1.0", "it would come back from JSON as Decimal"),
        (Item, SpecialItem(sku=uuid.uuid4(), price=Money(Decimal(1)), discount=Decimal(1)), "come back from JSON"),
        (frozenset[Frozen], frozenset([Frozen(password=pydantic.SecretStr("x"))]), "come back from JSON"),
        (dict[str, Any], {"at": date(2026, 1, 1)}, "come back from JSON"),
        (datetime, datetime(1800, 1, 1, tzinfo=timezone(timedelta(minutes=1, seconds=28))), "come back from JSON"),
        (dict[str, Any], {"x": Opaque()}, "Unable to serialize"),
        # equal, and of another type
        (Literal["a", 1], True, "come back from JSON as 1"),
        (Literal["a", 1], 1.0, "come back from JSON as 1"),
        (Literal[True], 1, "come back from JSON as True"),
        (Literal[0] | None, False, "come back from JSON as 0"),
        (Literal[Level.LOW], 1, "come back from JSON as <Level.LOW"),
        (list[Literal[1]], [1, True], "come back from JSON as"),
        (dict[str, tuple[Literal[1], ...]], {"x": (True,)}, "come back from JSON as"),
        (set[Literal[1]], {True}, "come back from JSON as"),
        (Flagged, Flagged(True), "come back from JSON as"),
        (list[int] | tuple[int, ...], (1,), r"come back from JSON as \[1\]"),
        (list[Any] | tuple[Any, ...], (1, 2), r"come back from JSON as \[1, 2\]"),
        (dict[str, list[int] | tuple[int, ...]], {"x": (1,)}, "come back from JSON as"),
        (Sequence[int], (1,), r"come back from JSON as \[1\]"),
        (float, 2**53 + 1, "come back from JSON as 9007199254740992.0"),
        (float | None, 10**23, r"come back from JSON as 1e\+23"),
        (dict[str, list[float]], {"x": [1.5, -(2**53) - 1]}, "come back from JSON as"),
        (set[float], {2**53 + 1}, "come back from JSON as"),
    ],
)
def test_what_does_not_fit(annotation: Any, value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Conversion(annotation).to_json(value)


@pytest.mark.parametrize(
    ("annotation", "value", "stored"),
    [
        (set[str], {"c", "a", "b"}, ["a", "b", "c"]),
        (dict[str, set[str]] | None, {"x": {"c", "a", "b"}}, {"x": ["a", "b", "c"]}),
        (list[frozenset[bytes]], [frozenset({b"c", b"a", b"b"})], [["YQ==", "Yg==", "Yw=="]]),
        (Flagged, Flagged(1, {"c", "a", "b"}), {"flag": 1, "names": ["a", "b", "c"]}),
        (set[frozenset[str]], {frozenset("dc"), frozenset("ba")}, [["a", "b"], ["c", "d"]]),
        (set[str] | str, "cab", "cab"),
    ],
)
def test_sets_have_one_order(annotation: Any, value: Any, stored: Any) -> None:
    assert Conversion(annotation).to_json(value) == stored


def test_a_time_in_the_repeated_hour() -> None:
    from zoneinfo import ZoneInfo

    value = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert round_trip(datetime, value).isoformat() == value.isoformat() == "2026-10-25T02:30:00+01:00"


Dated = enum.Enum("Made", {"NOW": date(2026, 1, 2), "PAIR": (1, 2), "BYTES": b"a"})
Number = enum.Enum("Number", {"ONE": 1})
NO_KEYS: list[Any] = [
    *(tuple[int, int], tuple[str], frozenset[int], None, Literal[1, 2], Number, enum.Flag("Bits", "A B")),
    *(Point, Money, Frozen, Number | None, tuple[int, int] | Frozen),
]


def read_pair(written: Any) -> Any:
    return ast.literal_eval(written) if isinstance(written, str) else written


KEYS: list[tuple[Any, Any]] = [
    *((Color, Color.RED), (Level, Level.LOW), (Literal["a", 1], "a"), (int | None, 1), (float, 1.5), (bool, True)),
    *(
        (uuid.UUID, uuid.UUID(int=1)),
        (date, date(2026, 1, 2)),
        (Decimal, Decimal("1.5")),
        (bytes, b"a"),
        (Path, Path("a")),
    ),
    (Annotated[tuple[int, ...], pydantic.BeforeValidator(read_pair), pydantic.PlainSerializer(str)], (1, 2)),
]


@pytest.mark.parametrize(("key", "value"), KEYS)
def test_what_is_written_as_a_text_is_a_key(key: Any, value: Any) -> None:
    assert round_trip(dict[key, int], {value: 1}) == {value: 1}


class TestDeclaration:
    @pytest.mark.parametrize(
        ("annotation", "shown"),
        [
            (Opaque, "parameter it: Opaque cannot be stored as JSON"),
            (list[Opaque], "parameter it: list"),
            (Opaque | None, r"parameter it: .*Opaque \| None"),
            (Callable[[int], int], r"parameter it: .*Callable.* cannot be rebuilt from JSON \(callable\)"),
            (Literal[Color.RED], r"Literal.* cannot be rebuilt from JSON \(nothing in JSON is a literal <Color.RED"),
            (dict[str, Literal["a", b"b"]] | None, r"nothing in JSON is a literal b'b'"),
            (Iterable[int], r"Iterable\[int\] cannot be rebuilt from JSON \(generator\)"),
            *((kind, r"\(nothing in JSON is such an object\)") for kind in (type, list[type[int]], type(...))),
            *((each, r"\(no member of Made has a value that is in JSON\)") for each in (Dated, list[Dated])),
            *((dict[key, int], r"\(a dict whose keys are no texts, nor written as such\)") for key in NO_KEYS),  # type: ignore[valid-type]
            (dict[str, dict[Number, Number]], "keys are no texts"),
        ],
    )
    def test_an_annotation_without_a_way_to_json(self, annotation: Any, shown: str) -> None:
        def func(it: Any) -> None: ...

        func.__annotations__["it"] = annotation
        with pytest.raises(workrow.OptionError, match=f"task t: .*{shown}.*annotate it with"):
            declare(func)

    def test_a_name_for_type_checkers_only_has_no_type(self) -> None:
        def func(n: int, it: Unknown, maybe: Unknown | None = None) -> Unknown: ...

        task = declare(func)
        assert task.bind((1, {"any": "thing"}), {}) == {"n": 1, "it": {"any": "thing"}}
        assert task.load({"n": 1, "it": "x"}, None) == {"n": 1, "it": "x"}
        assert task.load_result({"x": 1}) == {"x": 1}
        with pytest.raises(workrow.ArgumentError, match="argument n='1' does not fit int"):
            task.bind(("1", 2), {})

    def test_a_class_that_is_defined_later(self) -> None:
        def func(later: LaterInThisModule) -> None: ...  # type: ignore[name-defined]  # noqa: F821

        task = declare(func)
        globals()["LaterInThisModule"] = Money
        try:
            assert task.bind((Money(Decimal(1)),), {}) == {"later": {"amount": "1", "currency": "EUR"}}
        finally:
            del globals()["LaterInThisModule"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"version": 0}, "version=0: must be a whole number from 1 to 32767"),
            ({"version": True}, "version=True"),
            ({"version": "2"}, "version='2'"),
            ({"version": 40000}, "version=40000"),
            ({"upcast": dict}, "upcast=… needs version=2"),
            ({"version": 2, "upcast": "f"}, "upcast='f': must be a plain function"),
            ({"max_payload": 0}, "max_payload=0: must be a whole number of bytes, at least 64"),
            ({"max_payload": "1k"}, "max_payload='1k'"),
            ({"max_result": "1M"}, "max_result='1M': must be a whole number of bytes"),
        ],
    )
    def test_bad_options(self, options: dict[str, Any], message: str) -> None:
        def func() -> None: ...

        with pytest.raises(workrow.OptionError, match=f"task t: {message}"):
            declare(func, **options)

    def test_an_async_upcast(self) -> None:
        async def upcast(version: int, args: dict[str, Any]) -> dict[str, Any]:
            return args

        with pytest.raises(workrow.OptionError, match="must be a plain function"):
            declare(lambda: None, version=2, upcast=upcast)

    def test_the_app_checks_its_own(self) -> None:
        with pytest.raises(workrow.ConfigurationError, match="max_payload=-1"):
            workrow.App(connector=InMemoryConnector(), max_payload=-1)


class TestTheCall:
    @pytest.mark.parametrize(
        ("annotation", "fits", "fits_not"),
        [
            (int, [5, -(10**30), Level.LOW], ["5", 5.0, True, None]),
            (float, [5.0, 5], ["5", True, None]),
            (str, ["", "x"], [5, b"x", None]),
            (bool, [True, False], [1, "true"]),
            (UserId, [7], ["7", 7.0]),
            (int | None, [5, None], ["5", 5.0]),
            (int | str, [5, "5"], [5.5, None]),
            (Any, [5, "5", None, [1, {"a": 2}]], []),
        ],
    )
    def test_scalars(self, annotation: Any, fits: list[Any], fits_not: list[Any]) -> None:
        def func(it: Any) -> None: ...

        func.__annotations__["it"] = annotation
        task = declare(func)
        for value in fits:
            assert task.load(json.loads(json.dumps(task.bind((value,), {}))), None) == {"it": value}
        for value in fits_not:
            with pytest.raises(workrow.ArgumentError, match="t: argument it="):
                task.bind((value,), {})

    def test_a_whole_number_for_a_float_is_one(self) -> None:
        def func(it: float) -> None: ...

        task = declare(func)
        assert type(task.bind((5,), {})["it"]) is float
        assert type(task.load({"it": 10**23}, None)["it"]) is float
        for large in (10**400, 2**53 + 1):
            with pytest.raises(workrow.ArgumentError, match="argument it="):
                task.bind((large,), {})
        assert task.bind((2**60,), {}) == {"it": 2.0**60}

    @pytest.mark.parametrize(("stored", "loaded"), [(10**23, 1e23), (2**60, 2.0**60), (5, 5.0)])
    def test_a_float_that_json_writes_as_a_whole_number(self, stored: int, loaded: float) -> None:
        assert Conversion(float).json_to_json(stored) == loaded

    def test_json_that_a_float_cannot_hold(self) -> None:
        with pytest.raises(ValueError, match="it would be .9007199254740992.0"):
            Conversion(list[float]).json_to_json([2**53 + 1])

    def test_a_default_of_none_may_be_given(self) -> None:
        def func(it: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

        assert declare(func).bind((None,), {}) == {"it": None}

    def test_by_position_by_name_and_by_default(self) -> None:
        def func(ctx: workrow.JobContext, when: date, ids: list[uuid.UUID], *, color: Color = Color.RED) -> None: ...

        task, one = declare(func), uuid.UUID(int=1)
        expected = {"when": "2026-01-02", "ids": [str(one)]}
        assert task.bind((date(2026, 1, 2), [one]), {}) == expected
        assert task.bind((), {"ids": [one], "when": date(2026, 1, 2)}) == expected
        assert task.bind((date(2026, 1, 2), [one]), {"color": Color.BLUE}) == {**expected, "color": "blue"}
        assert task.load(expected, None) == {"when": date(2026, 1, 2), "ids": [one]}

    def test_arguments_with_any_name(self) -> None:
        def func(n: int, **dates: date) -> None: ...

        task = declare(func)
        stored = task.bind((1,), {"a": date(2026, 1, 2), "b": date(2026, 1, 3)})
        assert stored == {"n": 1, "a": "2026-01-02", "b": "2026-01-03"}
        assert task.load(stored, None) == {"n": 1, "a": date(2026, 1, 2), "b": date(2026, 1, 3)}
        with pytest.raises(workrow.ArgumentError, match=r"argument a=5 does not fit date"):
            task.bind((1,), {"a": 5})

    def test_the_error_names_everything_and_is_short(self) -> None:
        def func(ids: list[uuid.UUID]) -> None: ...

        with pytest.raises(workrow.ArgumentError) as caught:
            declare(func).bind((["x" * 100_000] * 50,), {})
        message = str(caught.value)
        assert message.startswith("t: argument ids=['xxxx")
        assert "does not fit list[uuid.UUID]: 0: Input should be an instance of UUID" in message
        assert message.endswith("; and 47 more")
        assert len(message) < 500

    def test_an_alias_of_a_model_and_a_list_in_a_field_of_any(self) -> None:
        def func(item: Item, extra: dict[str, Any]) -> None: ...

        task = declare(func)
        item = Item(sku=uuid.UUID(int=2), price=Money(Decimal("1.10")), comment="x")
        stored = task.bind((item, {"pair": (1, 2)}), {})
        assert stored["item"]["comment"] == "x"
        assert task.load(json.loads(json.dumps(stored)), None) == {"item": item, "extra": {"pair": [1, 2]}}

    def test_not_a_number(self) -> None:
        def func(ids: list[float]) -> None: ...

        with pytest.raises(workrow.ArgumentError, match="argument ids=.*cannot be stored as JSON"):
            declare(func).delay([math.nan])


class TestKeys:
    @pytest.mark.parametrize("value", [{1: 2}, {"x": [{None: 1}]}, ({"y": {True: 1}},), {1: 1, "1": 2}, {1.5: 0}])
    def test_that_are_no_strings_are_refused_where_nothing_says_what_they_are(self, value: Any) -> None:
        def plain(x, *, y: Any = None, **others: object) -> None: ...  # type: ignore[no-untyped-def]

        task = declare(plain)
        for name in ("x", "y", "z"):
            with pytest.raises(workrow.ArgumentError, match=rf"argument {name}=.*: the key .* annotate {name} with"):
                task.bind((), {"x": 1, name: value})

    def test_that_are_strings_are_not(self) -> None:
        def plain(x, y: dict[int, int]) -> None: ...  # type: ignore[no-untyped-def]

        class Name(enum.StrEnum):
            FIRST = "first"

        stored = declare(plain).bind((), {"x": {Name.FIRST: [{"a": 1}]}, "y": {1: 2}})
        assert json.dumps(stored) == '{"x": {"first": [{"a": 1}]}, "y": {"1": 2}}'


class TestTheSize:
    def test_too_much_is_refused_with_advice(self) -> None:
        def func(text: str) -> None: ...

        task = declare(func)
        overhead = len('{"text":""}')
        task.delay("x" * (64 * 1024 - overhead))
        with pytest.raises(workrow.ArgumentError, match="65,537 bytes of JSON, more than max_payload=65,536; .*its id"):
            task.delay("x" * (64 * 1024 - overhead + 1))
        with pytest.raises(workrow.ArgumentError, match="max_payload"):
            task.delay("é" * (32 * 1024))
        with pytest.raises(workrow.ArgumentError, match="max_payload"):
            task.defer(text="x" * 70_000)

    def test_the_task_knows_better_than_the_app(self) -> None:
        app = workrow.App(connector=InMemoryConnector(), max_payload=100)
        large = workrow.Blueprint("large", max_payload=1000)

        def func(text: str) -> None: ...

        small = app.task(name="small")(func)
        own = large.task(name="own", max_payload=200)(func)
        inherited = large.task(name="inherited")(func)
        app.include(large)
        assert [task.max_payload for task in (small, own, inherited)] == [100, 200, 1000]
        own.delay("x" * 150)
        with pytest.raises(workrow.ArgumentError, match="more than max_payload=100"):
            small.delay("x" * 150)


class TestTheWorker:
    def test_a_value_that_does_not_fit(self) -> None:
        def func(n: int, when: date) -> None: ...

        task = declare(func)
        assert task.load({"n": 1, "when": "2026-01-02"}, None) == {"n": 1, "when": date(2026, 1, 2)}
        with pytest.raises(Misfit, match="n='1' does not fit int"):
            task.load({"n": "1", "when": "2026-01-02"}, None)
        with pytest.raises(Misfit, match="when='soon' does not fit date"):
            task.load({"n": 1, "when": "soon"}, None)

    def test_upcasts(self) -> None:
        seen = []

        def upcast(version: int, args: dict[str, Any]) -> dict[str, Any]:
            seen.append(version)
            if version == 1:
                args["when"] = date(args.pop("year"), 1, 1)
            return args

        def func(when: date) -> None: ...

        task = declare(func, version=3, upcast=upcast)
        stored = {"year": 2026}
        assert task.load(stored, None) == {"when": date(2026, 1, 1)}
        assert stored == {"year": 2026}
        assert task.load({"when": "2026-01-02"}, 2) == {"when": date(2026, 1, 2)}
        assert task.load({"when": "2026-01-02"}, 3) == {"when": date(2026, 1, 2)}
        assert seen == [1, 2]
        with pytest.raises(Misfit, match=r"upcast from version 1 to 3 failed: KeyError\('year'\)"):
            task.load({}, 1)

    def test_an_upcast_that_forgets_to_return(self) -> None:
        def func() -> None: ...

        with pytest.raises(Misfit, match="returned None, not a dict"):
            declare(func, version=2, upcast=lambda version, args: None).load({}, 1)


class TestResults:
    @pytest.mark.parametrize(
        ("annotation", "value"),
        [
            (Money, Money(Decimal("1.10"))),
            (list[uuid.UUID], [uuid.UUID(int=3)]),
            (datetime, datetime(2026, 1, 1, tzinfo=UTC)),
            (bytes, b"\xff\x00"),
            (date | None, date(2026, 1, 1)),
            (date | None, None),
            (int, 5),
            (float, 5.0),
            (Any, {"a": [1]}),
        ],
    )
    def test_a_result_comes_back(self, annotation: Any, value: Any) -> None:
        def func() -> None: ...

        func.__annotations__["return"] = annotation
        task = declare(func)
        again = task.load_result(json.loads(json.dumps(task.returns.dump(value))))
        assert (again, type(again)) == (value, type(value))

    def test_an_annotation_that_is_wrong_costs_no_work(self) -> None:
        def func() -> date: ...  # type: ignore[empty-body]

        task = declare(func)
        assert task.returns.dump({"not": "a date"}) == {"not": "a date"}
        assert task.load_result(None) is None
        with pytest.raises(ResultError, match="{'not': 'a date'} does not fit the return annotation"):
            task.load_result({"not": "a date"})

    def test_an_annotation_without_a_way_to_json_says_nothing(self) -> None:
        def func() -> Opaque: ...  # type: ignore[empty-body]

        task = declare(func)
        assert not task.returns.converted
        assert task.load_result({"x": 1}) == {"x": 1}


class TestDefer:
    def test_it_takes_values_and_their_json(self) -> None:
        def func(when: date, n: Literal[1, 2] = 1) -> None: ...

        task = declare(func)
        connector = task.blueprint.connector
        task.defer(when=date(2026, 1, 2))
        task.configure(task_kwargs={"when": "2026-01-03"}).defer(n=2)
        assert [job["args"] for job in connector.jobs.values()] == [
            {"when": "2026-01-02"},
            {"when": "2026-01-03", "n": 2},
        ]
        with pytest.raises(workrow.ArgumentError, match="argument n=True"):
            task.defer(when="2026-01-03", n=True)
        with pytest.raises(workrow.ArgumentError, match="argument when='soon'"):
            task.defer(when="soon")
        with pytest.raises(workrow.ArgumentError, match="missing a required argument: 'when'"):
            task.defer()
