"""Signatures are changed as Celery 5.7.0 changes them; what is expected was seen of it."""

import pytest

from tests.celery.memory import App
from workrow.celery.canvas import chord, group
from workrow.celery.task import Task


@pytest.fixture
def add() -> Task:
    app = App()

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    return app.tasks["add"]


@pytest.mark.parametrize(
    ("given", "countdowns"), [((), [1, 2, 3, 4]), ((1, 2, 1), [1, 2, 2, 2]), ((0, None, 2), [0, 2, 4, 6])]
)
def test_skew(add: Task, given: tuple[float, ...], countdowns: list[float]) -> None:
    members = group([add.s(i, i) for i in range(4)])
    assert members.skew(*given) is members
    assert [each.options["countdown"] for each in members.tasks] == countdowns


def test_replace_copies_and_merges_nothing(add: Task) -> None:
    sig = add.s(1, k=2)
    other = sig.replace(args=(9,), options={"countdown": 3})
    assert (other.args, other.kwargs, other.options) == ((9,), {"k": 2}, {"countdown": 3})
    assert (sig.args, sig.options) == ((1,), {})


def test_links(add: Task) -> None:
    sig = add.s(1).on_error(add.s(9))
    for n in (2, 3, 3):
        sig.link(add.s(n))
    sig.options["link"][0].link(add.s(4))
    assert list(map(repr, sig.flatten_links())) == ["add(1)", "add(2)", "add(4)", "add(3)"]
    assert sig.options["link_error"] == [add.s(9)]


def test_a_partial_has_its_arguments_before_and_its_options_over(add: Task) -> None:
    sig = add.s(1, k=1).set(countdown=1)
    assert sig.partial((2,), {"k": 2}, countdown=4) == {
        **sig,
        "args": (2, 1),
        "kwargs": {"k": 2},
        "options": {"countdown": 4},
    }
    assert sig.reprcall(7, x=3) == "add(7, 1, k=1, x=3)"


SHOWN = {
    "price.s(1) | place.s(x=2)": "shop.price(1) | place(x=2)",
    "price.s(1) | send.s(2) | place.s(3)": "shop.price(1) | mail.send(2) | place(3)",
    "add.s(1.5) | add.s(2.5)": "add(1.5) | add(2.5)",
    "price.s('shop.x') | place.s('a.b')": "shop.price('x') | place('a.b')",
    "price.s(1) | price.map([1, 2])": "shop.price(1) | [price(x) for x in [1, 2]]",
    "group([price.s(1), place.s(2)])": "group([shop.price(1), place(2)])",
    "group([])": "group(<empty>)",
    "group([price.s(1) | place.s(2), send.s(1)])": "group([shop.price(1) | place(2), mail.send(1)])",
    "chord([price.s(1), place.s(2)], place.s(3))": "%shop.place([price(1), place(2)], 3)",
    "chord([price.s(1), place.s(2)], send.s(3))": "%mail.send([shop.price(1), shop.place(2)], 3)",
    "chord([price.s(1)], price.s(1) | place.s() | send.s())": "%(shop.price([price(1)], 1) | place() | mail.send())",
    "chord([price.s(1)])": "<chord without body: [shop.price(1)]>",
}
"""As Celery 5.7.0 shows them, whose module comes once."""


@pytest.mark.parametrize("shape", SHOWN)
def test_shapes_as_text(shape: str) -> None:
    app = App()
    names = {"price": "shop.price", "place": "shop.place", "send": "mail.send", "add": "add"}
    for name in names.values():
        app.task(name=name)(lambda *_, **__: None)
    known = {short: app.tasks[name] for short, name in names.items()}
    assert repr(eval(shape, {**known, "group": group, "chord": chord})) == SHOWN[shape]
