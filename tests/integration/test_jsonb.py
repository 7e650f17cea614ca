"""Any value goes through a real jsonb and comes back as it was, as an argument and as a result."""

import collections
import inspect
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import psycopg
import pydantic
import pydantic_core
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import workrow
from tests.integration.test_odd_values import EXAMPLES
from tests.unit.test_arguments import VALUES, Money, decimals, finite, money, text
from workrow.arguments.conversion import Conversion, same
from workrow.arguments.jsonb import dump_arguments, dump_result
from workrow.arguments.parameters import Parameters
from workrow.arguments.results import Result


class Shape(pydantic.BaseModel):
    kind: Literal["shape"] = "shape"
    size: int | float
    parts: dict[str, Any] = {}


class Weight(pydantic.BaseModel):
    kind: Literal["weight"] = "weight"
    of: Decimal | float


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
shapes = st.builds(Shape, size=st.integers() | finite, parts=st.dictionaries(text, json_values, max_size=2))
weights = st.builds(Weight, of=finite)
IN_JSONB: dict[Any, st.SearchStrategy[Any]] = {
    **VALUES,
    Any: json_values,
    float: finite,
    int: st.integers(-(10**400), 10**400),
    int | float: st.integers() | finite,
    Decimal | float: finite | decimals,
    str | float | None: text | finite | st.none(),
    list[int | float]: st.lists(st.integers() | finite),
    dict[int, float]: st.dictionaries(st.integers(), finite),
    dict[str, list[Decimal | float]]: st.dictionaries(text, st.lists(finite, max_size=2), max_size=3),
    dict[date, OrderedDict[str, int]]: st.dictionaries(
        st.dates(), st.dictionaries(text, st.integers()).map(OrderedDict), max_size=2
    ),
    collections.deque[float]: st.lists(finite).map(collections.deque),
    frozenset[timedelta]: st.frozensets(st.timedeltas()),
    Shape: shapes,
    Annotated[Shape | Weight, pydantic.Field(discriminator="kind")]: shapes | weights,
    tuple[Money, Shape | None, timedelta]: st.tuples(money, st.none() | shapes, st.timedeltas()),
}


def through_jsonb(conn: psycopg.Connection[Any], text: str | None) -> Any:
    """What the worker reads of what the column holds."""
    row = conn.execute("SELECT CAST(CAST(%s AS jsonb) AS text)", [text]).fetchone()
    assert row is not None
    return None if row[0] is None else pydantic_core.from_json(row[0])


@pytest.mark.usefixtures("all_of_unicode")
@pytest.mark.parametrize("annotation", IN_JSONB, ids=str)
@settings(
    max_examples=EXAMPLES or 30,
    derandomize=not EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_jsonb_gives_back_what_was_given_or_the_call_refuses_it(
    annotation: Any, data: st.DataObject, conn: Any
) -> None:
    """jsonb is no text: it normalises numbers, and drops the order of keys."""

    async def task(value: Any) -> Any: ...

    task.__annotations__ = {"value": annotation, "return": annotation}
    parameters, result = Parameters(task, inspect.signature(task)), Result(task)
    value = data.draw(IN_JSONB[annotation])
    try:
        stored = dump_arguments("t", parameters.dump("t", {"value": value}))
    except workrow.ArgumentError:
        assert "OrderedDict" in str(annotation)  # nothing else here is refused
        return
    again = parameters.load(through_jsonb(conn, stored))["value"]
    assert same(value, again)
    assert type(again) is type(value)
    assert again == value
    kept = result.load(through_jsonb(conn, dump_result(result.dump(value))))
    assert same(value, kept)
    assert type(kept) is type(value)


@pytest.mark.parametrize(
    "number", [1e16, -1e16, 1.5e17, 1.7976931348623157e308, 123456789012345678.0, 1e15, -0.0, 5e-324]
)
@pytest.mark.parametrize("inside", [lambda x: x, lambda x: [x], lambda x: {"1e+16": ["1e+16 \\", '"2e+20', x]}])
def test_a_float_stays_one(conn: Any, number: float, inside: Callable[[float], Any]) -> None:
    value = inside(number)
    for stored in (dump_arguments("t", {"value": value}), dump_result({"value": value})):
        again = through_jsonb(conn, stored)["value"]
        assert again == value
        assert same(value, again)


@pytest.mark.parametrize(("keys", "fits"), [(["b", "aa", "ab"], True), (["aa", "b"], False)])
def test_an_order_that_jsonb_does_not_keep_is_refused(keys: list[str], fits: bool) -> None:
    conversion, value = Conversion(OrderedDict[str, int]), OrderedDict.fromkeys(keys, 1)
    if fits:
        assert conversion.to_json(value) == dict.fromkeys(keys, 1)
    else:
        with pytest.raises(ValueError, match="with its keys in the order of jsonb"):
            conversion.to_json(value)
