"""Tasks with ``pydantic=True``: what was seen of Celery 5.7.0."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from workrow.celery import Celery


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
