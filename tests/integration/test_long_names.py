"""The longest names, locks and keys that are taken fit every index; longer ones are refused at the call."""

import random
from typing import Any

import pytest

import workrow
from tests.integration.test_worker import run

MOST = 2600


def noise(size: int) -> str:
    """What an index cannot compress."""
    return "".join(
        random.Random(size).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=size)
    )


@pytest.mark.usefixtures("all_of_unicode")
async def test_the_longest_that_are_taken_run(open_app: workrow.App, conn: Any) -> None:
    wide = "\U0001f600" * 128

    @open_app.task(name=wide, queue=wide, limits=workrow.Limit(1, name="\u00fc" * 128, key="key"), unique=("key",))
    async def limited(key: str) -> None: ...

    @open_app.task(name="locked", lock=noise(MOST))
    async def locked() -> None: ...

    jobs = [
        await limited.enqueue(None, key="\u20ac" * 1000),
        await locked.enqueue(None),
        await locked.options(lock=None, queueing_lock=noise(MOST)).enqueue(None),
        await locked.options(queue=wide, unique=workrow.Unique(by=None)).enqueue(None),
    ]
    await locked.configure(lock=noise(MOST), queueing_lock=noise(MOST - 1)).defer_async()
    await run(open_app)
    rows = conn.execute("SELECT status, count(*) FROM workrow.jobs GROUP BY status").fetchall()
    assert rows == [("succeeded", len(jobs) + 1)]


@pytest.mark.parametrize("option", ["lock", "queueing_lock"])
async def test_a_longer_lock_is_refused_whatever_the_way(open_app: workrow.App, conn: Any, option: str) -> None:
    @open_app.task(name="locked")
    async def locked() -> None: ...

    long: dict[str, Any] = {option: noise(MOST + 1)}
    message = rf"{option}='.*: has 2,60[12] bytes, at most 2,600 fit its index"
    with pytest.raises(workrow.OptionError, match=message) as refused:
        locked.options(**long)
    assert len(str(refused.value)) < 200
    with pytest.raises(workrow.OptionError, match=message):
        open_app.task(name="other", **long)(lambda: None)
    with pytest.raises(workrow.OptionError, match=message):
        await locked.configure(**long).defer_async()
    with pytest.raises(workrow.OptionError, match=message):
        locked.configure(**long).defer()
    with pytest.raises(workrow.OptionError, match=message):
        locked.options(**{option: "\u00fc" * 1301})
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)


async def test_limits_whose_names_and_keys_are_too_long(open_app: workrow.App, conn: Any) -> None:
    with pytest.raises(workrow.OptionError, match="has 129 characters, at most 128 fit"):
        workrow.Limit(1, name="n" * 129)
    limits = [workrow.Limit(1, name=f"{n}" * 50, key=key) for n, key in enumerate("abcdef")]

    @open_app.task(name="limited", limits=limits)
    async def limited(a: str, b: str, c: str, d: str, e: str, f: str) -> None: ...

    await limited.enqueue(None, **dict.fromkeys("abcdef", "short"))  # type: ignore[call-arg]
    with pytest.raises(workrow.OptionError, match="limited: its queue, .* take 2,.* bytes, at most 2,600 fit"):
        await limited.enqueue(None, **dict.fromkeys("abcdef", "\U0001f600" * 100))  # type: ignore[call-arg]
    assert conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (1,)
