"""Tasks with ``pydantic=True``: what was seen of Celery 5.7.0."""

from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator

from workrow.celery import Celery
from workrow.celery.codec import dumps


class Price(BaseModel):
    cents: int


app = Celery("priced", set_as_current=False)


@app.task(pydantic=True)
def doubled(price: Price) -> Price:
    return Price(cents=2 * price.cents)


@app.task(pydantic=True, bind=True)
def kinds(self: Any, price: Price, number: int = 2) -> list[Any]:
    return [type(price).__name__, price.cents, number]


@app.task(pydantic=True)
def perhaps(price: Price | None = None) -> str:
    return type(price).__name__


def test_models_are_made_of_dicts_and_dicts_of_models() -> None:
    assert doubled.apply(({"cents": 1},)).get() == {"cents": 2}
    assert doubled({"cents": 1}) == {"cents": 2}


def test_other_annotations_change_nothing() -> None:
    assert kinds.apply(({"cents": "3"},), {"number": "5"}).get() == ["Price", 3, "5"]


def test_a_model_or_none() -> None:
    assert perhaps.apply(({"cents": 1},)).get() == "Price"
    assert perhaps.apply((None,)).get() == perhaps.apply().get() == "NoneType"


def test_what_does_not_fit_fails() -> None:
    with pytest.raises(ValidationError, match="Field required"):
        doubled.apply(({},)).get()


class Weight(BaseModel):
    grams: int = Field(alias="g")

    @field_validator("grams")
    @classmethod
    def scaled(cls, value: int, info: ValidationInfo) -> int:
        context = info.context or {}
        return value * context.get("factor", 1) + (context.get("celery_app") is app) * len(
            context.get("celery_task_name", "")
        )


@app.task(pydantic=True, pydantic_strict=True)
def strict(price: Price) -> Price:
    return price


@app.task(pydantic=True, name="four", pydantic_context={"factor": 10}, pydantic_dump_kwargs={"by_alias": True})
def weighed(weight: Weight) -> Weight:
    return weight


@app.task(pydantic=True)
def other(price: "Price", *more: Price) -> str:
    return price  # type: ignore[return-value]


def test_options_of_models() -> None:
    with pytest.raises(ValidationError, match="valid integer"):
        strict.apply(({"cents": "1"},)).get()
    assert weighed.apply(({"g": 1},)).get() == {"g": 14}
    assert isinstance(other.apply(({"cents": 1},)).get(), Price), "what is annotated as something else stays"


def sent(task: Any, *args: Any, **kwargs: Any) -> Any:
    return task.models.dumped(args, kwargs)


def test_a_caller_may_give_models() -> None:
    assert sent(doubled, Price(cents=1)) == ([{"cents": 1}], {})
    assert sent(kinds, price=Price(cents=1), number=3) == ([], {"price": {"cents": 1}, "number": 3})
    assert sent(other, Price(cents=1), Price(cents=2)) == ([{"cents": 1}, Price(cents=2)], {})
    unequal = Weight(g=1)
    assert sent(weighed, unequal) == ([unequal], {}), "the task would get another one"
    assert sent(doubled, {"cents": 1}) == (({"cents": 1},), {})
    app.conf.task_always_eager = True
    assert doubled.delay(Price(cents=4)).get() == {"cents": 8}
    assert dumps(doubled.delay(price=Price(cents=4)).get())
