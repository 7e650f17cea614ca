"""Signals are told as Celery 5.7.0 was seen to tell them."""

import gc
import logging
from typing import Any

import pytest

from workrow.celery import signals
from workrow.celery.proxy import Proxy
from workrow.celery.signals import Signal

ALL = (
    "after_setup_logger after_setup_task_logger after_task_publish beat_embedded_init beat_init before_task_publish "
    "celeryd_after_setup celeryd_init eventlet_pool_apply eventlet_pool_postshutdown eventlet_pool_preshutdown "
    "eventlet_pool_started heartbeat_sent import_modules setup_logging task_failure task_internal_error task_postrun "
    "task_prerun task_received task_rejected task_retry task_revoked task_sent task_success task_unknown "
    "user_preload_options worker_before_create_process worker_init worker_process_init worker_process_shutdown "
    "worker_ready worker_shutdown worker_shutting_down"
)


def test_the_names_are_celerys() -> None:
    named = {name: value for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert sorted(named) == ALL.split()
    assert all(value.name == name for name, value in named.items())
    assert signals.task_retry.providing_args == {"request", "reason", "einfo"}


@pytest.fixture
def signal() -> Signal:
    return Signal("it", {"a"})


def one(sender: Any = None, **named: Any) -> Any:
    return "one", sender, sorted(named)


def two(**named: Any) -> str:
    return "two"


def results(signal: Signal, sender: Any = None) -> list[Any]:
    return [result for _, result in signal.send(sender)]


def test_receivers_are_called_in_their_order(signal: Signal) -> None:
    assert signal.connect(one) is one
    signal.connect(two)
    signal.connect(one)
    assert signal.send(sender=1, a=2) == [(one, ("one", 1, ["a", "signal"])), (two, "two")]
    assert repr(signal) == "<Signal: it providing_args={'a'}>"
    assert signal.disconnect(one) is True
    assert signal.disconnect(one) is False
    assert results(signal) == ["two"]


def test_decorators(signal: Signal) -> None:
    @signal.connect
    def plain(**named: Any) -> str:
        return "plain"

    @signal.connect(sender="x")
    def of_x(**named: Any) -> str:
        return "of x"

    @signal.connect(sender="y", weak=False, dispatch_uid="k")
    def of_y(**named: Any) -> str:
        return "of y"

    assert results(signal, "x") == ["plain", "of x"]
    assert results(signal, "y") == [plain(), of_y()]
    assert results(signal) == ["plain"]
    assert of_x() == "of x"


def test_what_cannot_be_a_receiver(signal: Signal) -> None:
    with pytest.raises(TypeError, match="must be a function, not 5"):
        signal.connect(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"must take \*\*kwargs"):
        signal.connect(lambda sender: None)
    with pytest.raises(TypeError, match="foo"):
        signal.connect(one, foo=1)  # type: ignore[call-arg]


class Same:
    """Is equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


def test_a_sender_is_the_same_object_or_an_equal_text() -> None:
    for own, given, is_heard in (
        ("abc", "".join(["a", "bc"]), True),
        (1000, int("1000"), False),
        ((1, 2), tuple(iter((1, 2))), False),
        (Same(), Same(), False),
        (None, 5, True),
        (5, None, False),
    ):
        signal = Signal()
        signal.connect(two, sender=own)
        assert bool(signal.send(given)) is is_heard, own
        assert signal.has_listeners(given) is is_heard
        assert len(signal.send(own)) == 1


def test_a_proxy_is_the_task_that_it_stands_for(signal: Signal) -> None:
    tasks = [Same(), Same()]
    proxy = Proxy(lambda: tasks[0])
    signal.connect(two, sender=proxy)
    assert results(signal, tasks[0]) == results(signal, proxy) == ["two"]
    assert results(signal, tasks[1]) == []
    assert signal.disconnect(two, sender=tasks[0])


class Listener:
    def hear(self, sender: Any = None, **named: Any) -> str:
        return "heard"


class TestWeakness:
    def test_a_method_goes_with_its_object(self, signal: Signal) -> None:
        listener = Listener()
        signal.connect(listener.hear)
        signal.connect(listener.hear)
        assert results(signal) == ["heard"]
        del listener
        gc.collect()
        assert (results(signal), signal.has_listeners()) == ([], False)
        signal.connect(two)
        assert len(signal.receivers) == 1

    def test_a_function_that_nobody_knows_goes(self, signal: Signal) -> None:
        signal.connect(lambda **named: 1)
        gc.collect()
        assert results(signal) == []

    def test_unless_it_is_held(self, signal: Signal) -> None:
        signal.connect(Listener().hear, weak=False)
        signal.connect(lambda **named: 1, weak=False)
        gc.collect()
        assert results(signal) == ["heard", 1]

    def test_what_cannot_be_known_weakly_is_held(self, signal: Signal) -> None:
        class Slots:
            __slots__ = ()

            def __call__(self, **named: Any) -> int:
                return 3

        signal.connect(Slots())
        gc.collect()
        assert results(signal) == [3]


def test_one_receiver_of_a_name(signal: Signal) -> None:
    signal.connect(one, dispatch_uid="u")
    signal.connect(two, dispatch_uid="u")
    assert results(signal) == [("one", None, ["signal"])]
    signal.connect(two, sender="a", dispatch_uid="u")
    assert len(results(signal, "a")) == 2
    assert signal.disconnect(dispatch_uid="u") is True
    assert results(signal, "a") == ["two"]
    assert signal.disconnect(dispatch_uid="u") is False
    assert signal.disconnect(sender="a", dispatch_uid="u") is True
    assert signal.receivers == []


def bad(**named: Any) -> None:
    raise ValueError("bad")


def test_what_a_receiver_raises_stops_nobody(signal: Signal, caplog: pytest.LogCaptureFixture) -> None:
    signal.connect(bad)
    signal.connect(two)
    assert repr(results(signal)) == "[ValueError('bad'), 'two']"
    (record,) = caplog.records
    assert "receiver <function bad" in record.getMessage()
    assert "of the signal it raised ValueError('bad')" in record.getMessage()
    assert record.exc_info


def test_what_ends_programs_ends_them(signal: Signal) -> None:
    @signal.connect
    def leave(**named: Any) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        signal.send(1)


def test_who_connects_while_it_is_sent_hears_the_next(signal: Signal) -> None:
    @signal.connect
    def connects(**named: Any) -> str:
        signal.connect(two)
        return "first"

    assert results(signal) == ["first"]
    assert results(signal) == [connects(), "two"]


def test_again_until_it_works(
    signal: Signal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)

    def flaky(**named: Any) -> str:
        if len(pauses) < 17:
            raise KeyError("x")
        return "at last"

    signal.connect(flaky, retry=True)
    assert signal.send(1) == [(flaky, "at last")]
    assert pauses == [*range(2, 30, 2), 30, 30, 30]
    assert "raised KeyError('x'), and is called again in 2 s" in caplog.records[0].getMessage()
    assert signal.disconnect(flaky)


def test_a_signal_that_never_comes_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    signal = Signal("green", never="nothing is green")
    with caplog.at_level(logging.WARNING):
        signal.connect(one)
        signal.connect(two)
    (record,) = caplog.records
    assert "waits for the signal green, which never comes: nothing is green" in record.getMessage()
    assert results(signal) == [("one", None, ["signal"]), "two"]
    assert all(getattr(signals, name).never for name in ALL.split() if name.startswith("eventlet_pool"))
