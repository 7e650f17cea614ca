"""How cron= and @app.periodic read a crontab line, and which lines they refuse."""

import random
import re
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import procrastinate
import pytest
from croniter import croniter
from cronsim import CronSim

import workrow
from workrow.declare import crontab
from workrow.declare.schedule import Cron

TASK: Any = procrastinate.Blueprint().task(name="t")(print)
START = datetime(2026, 11, 28, 11, 50)
NAMES = {3: crontab.MONTHS, 4: crontab.DAYS}
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
SPECIAL = {2: ("L", "LW", "15W", "1-L", "?"), 4: ("2L", "L2", "monL", "mon#2", "0#5", "tue-thu#1", "?")}


def term(chance: random.Random, field: int) -> str:
    def value() -> str:
        if field in NAMES and chance.random() < 0.3:
            name = chance.choice(NAMES[field])
            return chance.choice((name, name.upper(), name.title()))
        return str(chance.choice((*RANGES[field], chance.randint(*RANGES[field]))))

    kind = chance.random()
    if field in SPECIAL and kind < 0.1:
        return chance.choice(SPECIAL[field])
    text = "*" if kind < 0.35 else value() if kind < 0.7 else f"{value()}-{value()}"
    return f"{text}/{chance.choice((0, 1, 2, 3, 5, 7, 15, 70))}" if chance.random() < 0.25 else text


def line(chance: random.Random) -> str:
    def field(number: int) -> str:
        return ",".join(term(chance, number) for _ in range(chance.choice((1, 1, 1, 2, 3))))

    usual = ("0", "9", "*", "*", "*")
    fields = [usual[number] if chance.random() < 0.5 else field(number) for number in range(5)]
    if chance.random() < 0.15:
        fields.insert(chance.choice((0, 5)), field(0))
    return " ".join(fields)


def times(line: str, reader: str) -> list[datetime] | None:
    """What the libraries themselves make of it; None: nothing."""
    try:
        if reader == "cron=":
            return [*islice(CronSim(crontab.plain(line), START), 20)] or None
        return [*islice(croniter(line, START).all_next(datetime), 20)]
    except Exception:
        return None


def refused(line: str, reader: Any) -> bool:
    try:
        crontab.check(line, reader)
    except workrow.OptionError:
        return True
    return False


def test_no_line_that_is_taken_means_two_things() -> None:
    # whatever the generator makes: the verdict is by what the fields mean, and this compares the due times
    chance, seen = random.Random(11), Counter[str]()
    for _ in range(200):
        text = line(chance)
        cronsim, croniters = times(text, "cron="), times(text, "@app.periodic")
        verdict = refused(text, "cron="), refused(text, "@app.periodic")
        if cronsim and croniters:
            if cronsim != croniters:
                assert verdict == (True, True), text
            # what is the same here may part later: in months that are not among these
            assert verdict in ((True, True), (False, False)), text
        else:
            assert verdict == (not cronsim, not croniters), text
        seen[f"{bool(cronsim)} {bool(croniters)} {verdict}"] += 1
    assert seen["True True (False, False)"] > 70
    assert seen["True True (True, True)"] > 20
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("*/5 * * * * *", "name the months"),
        ("30 0 9 * * 1", "name the months"),
        ("0 9 */2 * mon", "write a range"),
        ("0 9 1 * */2", "write a range"),
        ("0 9 */3 * mon#1", "write a range"),
        ("0 9 * * 5/2", "write the days out, such as 5,7"),
        ("0 9 * * mon-mon", "write the days out"),
        ("5-5 9 * * *", "write the numbers out, such as 5 for 5-5"),
        ("0 9 * jan-jan *", "write the numbers out"),
    ],
)
def test_a_line_of_two_readings_is_refused_with_both(text: str, way_out: str) -> None:
    with pytest.raises(workrow.OptionError) as first:
        workrow.Schedule(cron=text)
    with pytest.raises(workrow.OptionError) as second:
        workrow.App("postgresql://nowhere").periodic(cron=text)(TASK)
    for error, (mine, theirs) in zip(
        (first, second), (("cron=", "@app.periodic"), ("@app.periodic", "cron=")), strict=True
    ):
        message = str(error.value)
        assert f"cron={text!r}: two readings: {mine} is due at 20" in message
        assert f", {theirs} is due at 20" in message
        assert way_out in message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("0 30 9 * jan-dec mon", "0 30 9 * * mon"),  # so the seconds' place is clear
        ("@daily", "0 0 * * *"),
        (" @Weekly", "0 0 * * 0"),
        ("0 9 * * mon-sun", "0 9 * * *"),
        ("0 9 * * Fri-MON", "0 9 * * 5,6,0,1"),
        ("0 9 * * 7", "0 9 * * sun"),
        ("0 9 * * 7-2", "0 9 * * 0-2"),
        ("0 9 * * FriL", "0 9 * * 5L"),
        ("0 22-6/2 * nov-Feb *", "0 22,0,2,4,6 * 1,2,11,12 *"),
        ("50-10 * * * *", "0-10,50-59 * * * *"),
    ],
)
def test_cron_takes_what_people_write(text: str, same: str) -> None:
    cron, other = Cron(text), Cron(same)
    due = START.replace(tzinfo=UTC)
    for _ in range(50):
        following = cron.following(due)
        assert following is not None
        assert following == other.following(due)
        assert cron.latest(following) == following
        due = following


def test_periodic_keeps_seconds_last() -> None:
    app = workrow.App("postgresql://nowhere")
    app.periodic(cron="* * * jan-dec * */5")(TASK)
    (task,) = app.periodic_registry.periodic_tasks.values()
    assert task.croniter.get_next(float, start_time=0.0) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("61 * * * *", "out of range"),
        ("0 30 9 * * mon", r"cron= would be due at 20.*seconds, if any, after them"),
        ("0 0 30 2 *", "is never due"),
        ("0 0 31 4,6 *", "is never due"),
        ("0 9 15 * mon#2", "is never due; no year has such a day; cron= would be due at"),
        ("0 9 * * 2L", "cron= would be due at"),
        ("0 9 * * funday", "not acceptable"),
        ("* * * * * * 2020", "is never due; its years are past"),
        ("0 0 1 1 * 0 2019-2021", "is never due; its years are past"),
        ("0 0 29 2 * 0 2027", "is never due; its years .* have no such day"),
        ("h * * * *", "hash_id"),
        ("r 9 * * *", "R is another number in each worker"),
        ("", "Exactly 5, 6 or 7"),
    ],
)
@pytest.mark.parametrize("place", ["app", "blueprint", "stock"])
def test_periodic_refuses_what_would_never_be_due(text: Any, message: str, place: str) -> None:
    app = workrow.App("postgresql://nowhere")
    blueprint: Any = {"app": app, "blueprint": workrow.Blueprint("b"), "stock": procrastinate.Blueprint()}[place]

    def declare() -> None:
        @blueprint.periodic(cron=text, periodic_id="p")
        @blueprint.task(name="t")
        def tick(timestamp: int) -> None: ...

        if place == "stock":
            app.add_tasks_from(blueprint, namespace="ns")

    with pytest.raises(workrow.OptionError, match=rf"task \S*t: cron={re.escape(repr(text))}: .*{message}") as error:
        declare()
    assert "\n" not in str(error.value)


def test_a_line_is_a_string() -> None:
    with pytest.raises(workrow.OptionError, match="task t: cron=None: must be a string"):
        workrow.App("postgresql://nowhere").periodic(cron=None)(TASK)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["* * * * * * 2020", "0 0 1 1 * 0 2019-2021"])
def test_what_is_never_due_is_no_way_out(text: str) -> None:
    with pytest.raises(workrow.OptionError, match="Wrong number of fields; write minute"):
        Cron(text)


def test_one_of_the_years_may_be_over() -> None:
    app = workrow.App("postgresql://nowhere")
    app.periodic(cron="0 0 1 1 * 0 2020-2060/20")(TASK)
    assert len(app.periodic_registry.periodic_tasks) == 1
