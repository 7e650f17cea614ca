"""Rules for a second call: what is refused where it is declared, and what makes a key."""

import inspect
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import workrow
from workrow.declare.options import Options
from workrow.declare.unique import Debounce, Rule, Throttle, Unique, keys_of


def send(user_id: int, letter: str = "welcome", at: datetime | None = None) -> None: ...


def key(rule: Rule, **arguments: Any) -> str:
    return keys_of("mail.send", rule, inspect.signature(send), [arguments])[0]


def test_the_key_is_readable_while_it_is_short() -> None:
    assert key(Unique(by=("user_id",)), user_id=7) == 'mail.send:{"user_id":7}'
    assert key(Unique(by=None), user_id=7) == "mail.send"
    assert key(Unique(by="args"), user_id=7) == 'mail.send:{"at":null,"letter":"welcome","user_id":7}'
    long = key(Unique(by=("letter",)), user_id=7, letter="x" * 500)
    assert len(long) < 100
    assert long != key(Unique(by=("letter",)), user_id=7, letter="x" * 501)


def test_a_default_counts_as_if_it_were_given() -> None:
    assert key(Unique(), user_id=7) == key(Unique(), letter="welcome", user_id=7, at=None)
    assert key(Unique(), user_id=7) != key(Unique(), user_id=7, letter="other")


def test_what_is_no_json_itself_has_a_key() -> None:
    at = datetime(2027, 1, 2, tzinfo=UTC)
    assert "2027-01-02" in key(Unique(by=("at",)), at=at)
    assert "0000-" in key(Unique(by=("user_id",)), user_id=UUID(int=1))


def test_equal_sets_and_dicts_have_equal_keys() -> None:
    def tag(names: frozenset[str] = frozenset("abcdef"), counts: Any = {1: 2, "a": 3}) -> None: ...  # noqa: B006

    by = Unique(by=("names", "counts"))
    given = {"names": sorted("fedcba"), "counts": {"a": 3, "1": 2}}
    keys = keys_of("tag", by, inspect.signature(tag), [{}, given])
    assert keys[0] == keys[1]


def test_numbers_are_one_key_where_they_are_stored_as_one() -> None:
    app = workrow.App("postgresql://nobody@127.0.0.1:1/none")
    keys = []
    for annotation, values in ((float, (1, 1.0)), (int | float, (1, 1.0)), (Decimal, (Decimal("1"), Decimal("1.0")))):

        def task(x: Any) -> None: ...

        task.__annotations__["x"] = annotation
        made = app.task(name=f"t{len(keys)}")(task)
        bound = [made.bind((value,), {}) for value in values]
        keys.append(len({*keys_of("t", Unique(), made.signature, bound)}))
    assert keys == [1, 2, 2]


def test_values_of_other_types_are_other_keys() -> None:
    keys = [key(Unique(by=("user_id",)), user_id=value) for value in (1, "1", None, True, [1])]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Unique(by="user_id"), r"by='user_id': must be a tuple"),  # type: ignore[arg-type]
        (lambda: Unique(by=()), r"by=\(\)"),
        (lambda: Unique(by=("a", "a")), "twice"),
        (lambda: Unique(by=["a"]), r"by=\['a'\]"),  # type: ignore[arg-type]
        (lambda: Unique(within=0), "within=0: must be .*, above 0"),
        (lambda: Unique(within="1h"), "within='1h': must be a timedelta"),  # type: ignore[arg-type]
        (lambda: Unique(on_conflict="ignore"), "on_conflict='ignore': must be one of"),  # type: ignore[arg-type]
        (lambda: Unique(states=("done",)), r"states=\('done',\): must be a tuple of"),
        (lambda: Unique(states=()), r"states=\(\)"),
        (lambda: Unique(states=("doing",)), "must include 'todo'"),
        (lambda: Unique(states=("todo", "doing", "succeeded")), "only with within"),
        (lambda: Unique(states=("todo", "succeeded"), within=5), "must include 'doing'"),
        (lambda: Unique(states=("todo",), within=5), "add 'succeeded'"),
        (lambda: Debounce(0), "seconds=0: must be .*, above 0"),
        (lambda: Debounce(5, max_wait=4), "max_wait=4: must be at least the 5 s"),
        (lambda: Debounce(timedelta(seconds=-1)), "seconds=.*, above 0"),
        (lambda: Throttle(0, per=1), "limit=0: must be a whole number from 1"),
        (lambda: Throttle(1001, per=1), "limit=1001"),
        (lambda: Throttle(True, per=1), "limit=True"),
        (lambda: Throttle(1, per=0), "per=0"),
        (lambda: Throttle(1, per=1, on_conflict="replace"), "must be 'skip' or 'raise'"),  # type: ignore[arg-type]
        (lambda: Options(unique="user_id"), r"unique='user_id': must be a tuple"),  # type: ignore[arg-type]
        (lambda: Options(unique=("",)), "unique="),
        (lambda: Options(debounce="5"), "debounce='5'"),  # type: ignore[arg-type]
        (lambda: Options(throttle=5), r"throttle=5: must be Throttle"),  # type: ignore[arg-type]
        (lambda: Options(unique=("a",), debounce=5), "give one of them"),
        (lambda: Options(unique=("a",), queueing_lock="x"), "give one of the two"),
        (lambda: Options(debounce=5, delay=5), "leave delay and at away, countdown and eta too"),
        (lambda: Options(expires=0), "expires=0"),
        (lambda: Options(expires=datetime(2027, 1, 1)), "must be a datetime with a time zone"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(make: Any, says: str) -> None:
    with pytest.raises(workrow.OptionError, match=says):
        make()


def test_a_rule_that_names_no_argument_is_refused_at_import() -> None:
    mail = workrow.Blueprint("mail")
    with pytest.raises(
        workrow.OptionError, match=r"mail\.send: by=\('user',\): 'user' is no argument; known are user_id"
    ):
        mail.task(unique=("user",))(send)
    task = mail.task(unique=("user_id",))(send)
    with pytest.raises(workrow.OptionError, match="'user' is no argument"):
        task.options(throttle=Throttle(1, per=1, by=("user",)))


def test_one_rule_replaces_another() -> None:
    options = Options(unique=("a",)).changed({"debounce": 5})
    assert options.rule == Debounce(5)
    assert options.changed({"debounce": None}).rule is None


def test_blueprints_share_what_their_tasks_do_not_say() -> None:
    mail = workrow.Blueprint("mail", unique=Unique(by=None))
    assert mail.task(send)._options.rule == Unique(by=None)
    assert mail.task(name="other", throttle=Throttle(1, per=1))(send)._options.rule == Throttle(1, per=1)
