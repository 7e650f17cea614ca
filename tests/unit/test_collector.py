"""The garbage collector of a process that is a worker's own."""

import gc

import pytest

from workrow.worker.living.collector import YOUNG, seldom


@pytest.fixture(autouse=True)
def as_it_was() -> object:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_it_looks_seldom_and_not_at_what_was_there() -> None:
    gc.set_threshold(700, 10, 10)
    with seldom():
        assert gc.get_threshold() == (YOUNG, 10, 10)
        assert gc.get_freeze_count() > 1_000
        assert len(gc.get_objects()) < 1_000
    assert gc.get_threshold() == (700, 10, 10)
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("young", [0, YOUNG * 2])
def test_who_asks_for_less_is_heeded(young: int) -> None:
    gc.set_threshold(young, 10, 10)
    with seldom():
        assert gc.get_threshold()[0] == young


def test_what_the_process_has_frozen_itself_stays_so() -> None:
    gc.freeze()
    with seldom():
        pass
    assert gc.get_freeze_count() > 0
