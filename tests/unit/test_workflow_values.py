"""Workflows are values; what cannot be one is told at the call."""

import copy
import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import pytest
from procrastinate.exceptions import UnboundTaskError
from pydantic import BeforeValidator, PlainSerializer, SecretStr

import workrow
from workrow.workflows.plan import Plan
from workrow.workflows.start import Prepared

app = workrow.App("postgresql:///nowhere", max_workflow_size=50)


@app.task(name="fetch")
async def fetch(url: str) -> int:
    return len(url)


@app.task(name="add")
async def add(x: int, y: int = 0) -> int:
    return x + y


@app.task(name="total")
async def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(name="silent", results=False)
async def silent() -> None: ...


@app.task(name="limited", limits=workrow.Limit(1, key="x"))
async def limited(x: int) -> None: ...


@app.task(name="secret", hide=("token",))
async def secret(token: str) -> None: ...


other = workrow.App("postgresql:///elsewhere")


@other.task(name="mail")
async def mail(to: Any = None) -> None: ...


@dataclass
class Login:
    password: SecretStr
    since: date


@app.task(name="sign_in")
async def sign_in(login: Login | None, key: bytes = b"", more: dict[str, list[SecretStr]] | None = None) -> None: ...


WHOLE = (
    workrow.chain(
        fetch.s("a"),
        workrow.group(add.s(), add.options(queue="q", delay=timedelta(seconds=5), unique=("y",)).s(2)).if_failed(
            "continue"
        ),
        total.s().link(add.s(1)).compensate(add.si(0)),
        workrow.graph({"a": add.s(), "b": add.si(1), "c": add.s()}, after={"c": {"x": "a", "y": "b"}}),
        add.options(at=datetime(2026, 12, 1, tzinfo=UTC)).si(3).named("last"),
    )
    .named("whole")
    .on_success(add.si(1))
    .on_failure(silent.si())
    .on_complete(silent.si())
)


def nested(levels: int) -> Any:
    made: Any = add.s(1)
    for _ in range(levels - 1):
        made = workrow.group(made)
    return made


def json_nested(levels: int) -> Any:
    made: Any = {"task": "add", "args": [1]}
    for _ in range(levels - 1):
        made = {"group": [made]}
    return made


def test_values_are_equal_printed_and_come_back_from_json() -> None:
    assert workrow.from_json(app, WHOLE.to_json()) == WHOLE
    assert repr(workrow.from_json(app, WHOLE.to_json())) == repr(WHOLE)
    assert repr(workrow.chord([fetch.s("a"), add.s(1, y=2)], total.s()).named("n").if_failed("cancel")) == (
        "chain(group(fetch.s('a'), add.s(1, y=2)), total.s()).named('n').if_failed('cancel')"
    )
    assert add.s(1) == add.s(1) != add.s(2)
    assert add.s(1) != add.si(1)
    assert add.options(queue="q").s(1) != add.s(1)
    assert repr(secret.s("hunter2")) == "secret.s(***)"
    assert workrow.chord([], total.s()) == workrow.chain(workrow.group(), total.s())
    assert workrow.chain(workrow.chain(), add.s(1), workrow.chain().named("n")) == workrow.chain(add.s(1))
    assert copy.copy(WHOLE) == WHOLE


def test_values_hash_whatever_their_arguments_are() -> None:
    one = workrow.graph({"a": total.s([1]), "b": add.s(1, y=2).link(add.s())}, after={"b": ["a"]})
    assert {one, workrow.from_json(app, one.to_json()), workrow.group(one)} == {one, workrow.group(one)}
    assert len({add.s(1), add.s(1.0), add.s(True), add.si(1)}) == 2


def test_json_says_of_arguments_what_jobs_store() -> None:
    login = Login(SecretStr("s3cret"), date(2026, 12, 1))
    flow = workrow.chain(sign_in.s(login, b"\xff"), total.si([1]), sign_in.si(None, more={"a": [SecretStr("t0ken")]}))
    said = json.loads(json.dumps(flow.to_json()))
    assert said["chain"][0]["args"] == [{"password": "s3cret", "since": "2026-12-01"}, "_w=="]
    assert said["chain"][2]["kwargs"] == {"more": {"a": ["t0ken"]}}
    stored = [node.arguments for node in Prepared(workrow.from_json(app, said)).plan.nodes]
    assert stored == [node.arguments for node in Prepared(flow).plan.nodes]
    assert stored[0]["login"]["password"] == "s3cret"


async def test_a_forgotten_await_is_told_with_the_workflows_name() -> None:
    with pytest.warns(RuntimeWarning, match="coroutine 'chain of add.enqueue' was never awaited"):
        workrow.chain(add.s(1), add.s()).enqueue(None)


def test_parts_nest_a_hundred_deep() -> None:
    deep = nested(100)
    assert workrow.from_json(app, deep.to_json()) == deep == copy.copy(deep)
    assert copy.deepcopy(deep) == deep
    assert repr(deep).count("group") == 99
    assert len({deep, nested(100)}) == 1
    assert Prepared(deep).plan.size == 1


@pytest.mark.parametrize("value", [math.inf, math.nan, [-math.inf], {"a": {"b": math.inf}}, "a\0b", "\ud800"])
def test_what_no_job_could_store_is_not_said_as_json(value: Any) -> None:
    flow: Any
    for flow in (
        total.s(value),
        total.s(numbers=value),
        add.s(1).link(total.s(value)),
        add.s().compensate(total.si(value)),
    ):
        with pytest.raises(
            workrow.ArgumentError, match=r"^total.si?\(.*\): an argument cannot be stored as JSON \(.*; pass"
        ):
            workrow.chain(flow).to_json()
    with pytest.raises(workrow.ArgumentError, match=r"^secret.s\(\*\*\*\): .* JSON \(it is hidden\); pass"):
        secret.s(value).to_json()


def test_rules_come_back_from_json() -> None:
    rule = workrow.Unique(by=("x",), within=timedelta(hours=1), states=("todo", "doing", "failed"))
    for one in (add.options(unique=rule).s(1), add.options(unique=workrow.Unique(by=None, states=("todo",))).s(1)):
        assert workrow.from_json(app, json.loads(json.dumps(one.to_json()))) == one


def test_nobody_changes_a_value_from_outside() -> None:
    numbers = [1, 2]
    one = total.s(numbers)
    numbers.append(3)
    assert one.args == ([1, 2],)
    with pytest.raises(AttributeError):
        one.args = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        one.kwargs["x"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: workrow.graph({"a": add.s(1), "b": add.s()}, after={"a": ["b"], "b": ["a"]}), "go in a circle: .*a"),
        (lambda: workrow.graph({"a": add.s(1)}, after={"a": "b"}), "'a' follows 'b', which is no node; known are a"),
        (lambda: workrow.graph({"a": add.s(1)}, after={"b": "a"}), "names no node; known are a"),
        (lambda: workrow.graph([("a", add.s(1)), ("a", add.s(2))]), "the node 'a' is named twice"),
        (lambda: workrow.chain(add.s(1), add), r"is no part of a workflow: .*did you mean add.s\(\)"),
        (lambda: workrow.group(7), "7 is no part of a workflow"),
        (
            lambda: workrow.group(workrow.chain(), add.s(1)),
            r"^group: the part chain\(\) is an empty chain, .* leave it out",
        ),
        (lambda: workrow.chord([workrow.chain()], total.s()), r"^chord: the part chain\(\) is an empty chain"),
        (lambda: workrow.chord([add.s(1)], workrow.chain()), r"^chord: the part chain\(\) is an empty chain"),
        (lambda: workrow.graph({"a": workrow.chain(workrow.chain())}), r"^graph: the part chain\(\) is an empty chain"),
        (
            lambda: workrow.chain(add.s(1), workrow.chain().on_success(silent.si())),
            r"^chain: the part chain\(\).on_success\(.*\) is an empty chain, whose callbacks have no end to follow",
        ),
        (lambda: workrow.chain().enqueue(None), "^chain of nothing: a workflow without a task has nothing to do"),
        (lambda: workrow.map(add, []).enqueue(None), r"^group of nothing, as of map\(task, \[\]\)"),
        (
            lambda: workrow.group(add.s(n) for n in range(51)).enqueue(None),
            "^group of add has 51 tasks, more than max_workflow_size=50",
        ),
        (lambda: workrow.chain(silent.s(), total.s()).enqueue(None), r"declared with results=False .*total.si\("),
        (lambda: workrow.chunks(add, [(1, 2)], 0), r"chunks\(size=0\)"),
        (lambda: workrow.chunks(add, [{"x": 1}], 1), "chunks: the row {'x': 1} must be the arguments of one job"),
        (lambda: workrow.starmap(add, [1, 2]), r"^starmap: the row 1 must .* say map\(add, …\)"),  # type: ignore[list-item]
        (lambda: workrow.starmap(add, ["ab"]), "^starmap: the row 'ab' must be the arguments of one job"),
        (lambda: workrow.starmap(None, []), "^starmap: None is no task"),  # type: ignore[arg-type]
        (lambda: workrow.map(add, None), "^map: None is no iterable"),  # type: ignore[arg-type]
        (lambda: workrow.map(add.s(), [1]), r"^map: add.s\(\) is no task: give the task itself"),  # type: ignore[arg-type]
        (lambda: workrow.graph({"a": add.s(1)}, after=["a"]), r"^graph\(after=\['a'\]\): must say who follows whom"),  # type: ignore[arg-type]
        (lambda: workrow.graph({"a": add.s(1)}, after={"a": 5}), "^graph: after={'a': 5}: must be names"),  # type: ignore[dict-item]
        (lambda: workrow.graph(["a"]), r"^graph\(\['a'\]\): must be nodes by their names"),  # type: ignore[list-item]
        (lambda: workrow.graph({"a\0": add.s(1)}), "without NUL and"),
        (
            lambda: workrow.graph({"x" * 201: add.s(1)}),
            "^graph: the name 'x{79}… of a node must be text of 1 to 200 char",
        ),
        (
            lambda: workrow.graph({f"n{n}": add.s(1) for n in range(10_000)}, after={"a": "n1"}),
            "names no node; known are n0, .*, n19, …$",
        ),
        (lambda: workrow.graph({"a": add.s(1)}, after={"a": "x" * 10_000}), "^graph: 'a' follows 'x{79}…, which is no"),
        (
            lambda: workrow.graph(
                {f"n{n}": add.s() for n in range(100)}, after={f"n{n}": f"n{(n + 1) % 100}" for n in range(100)}
            ),
            "go in a circle: (n[0-9]+ → ){20}…; none of them",
        ),
        (
            lambda: workrow.graph({"a": add.s(1), "b": add.s()}, after={"b": {"x": ["a"]}}),  # type: ignore[dict-item]
            r"^graph: after={'b': …}: \['a'\] is no name: say names of nodes, or argument → name",
        ),
        (lambda: workrow.graph({"a": add.s(1), "b": add.s()}, after={"b": {5: "a"}}), "after={'b': …}: 5 is no name"),  # type: ignore[dict-item]
        (lambda: workrow.graph({"a": add.s(1), "b": add.s()}, after={"b": [["a"]]}), r"\['a'\] is no name"),  # type: ignore[list-item]
        (
            lambda: workrow.graph({"a": add.s(1), "b": add.s()}, after={"b": ["a", "a"]}),
            "^graph: 'b' follows 'a' twice: name it once",
        ),
        (lambda: workrow.graph({"\ud800": add.s(1)}), r"^graph: the name '\\ud800' .* and lone surrogates"),
        (lambda: nested(101), "^group: nested 101 levels deep, more than 100"),
        (lambda: workrow.from_json(app, json_nested(101)), "^group: nested 101 levels deep"),
        (lambda: workrow.from_json(app, json_nested(5000)), "^from_json: nested more than 100 levels deep"),
        (lambda: workrow.from_json(app, {"task": "gone"}), "the app has no task 'gone'"),
        (lambda: workrow.from_json(app, [1]), "is no workflow"),
        (
            lambda: workrow.from_json(app, {"task": "add", "arg": [1], "name": "n"}),
            "^from_json: 'arg' is unknown beside 'task': known are task, args, kwargs, .*; has a later version",
        ),
        (lambda: workrow.from_json(app, {"chain": [], "args": [1]}), "^from_json: 'args' is unknown beside 'chain': "),
        (
            lambda: workrow.from_json(app, {"task": "add", "group": []}),
            "^from_json: 'task' is unknown beside 'group': ",
        ),
        (lambda: workrow.from_json(app, {"graph": {}, 5: None}), "^from_json: 5 is unknown beside 'graph': "),
        (lambda: workrow.from_json(app, {"chain": 5}), "^from_json: chain=<int>: must be a list"),
        (lambda: workrow.from_json(app, {"chain": None}), "^from_json: chain=<NoneType>: must be a list"),
        (lambda: workrow.from_json(app, {"group": {"a": 1}}), "^from_json: group=<dict>: must be a list"),
        (lambda: workrow.from_json(app, {"graph": []}), "^from_json: graph=<list>: must be a dict"),
        (lambda: workrow.from_json(app, {"graph": {}, "after": 5}), "^from_json: after=<int>: must be a dict"),
        (lambda: workrow.from_json(app, {"task": ["add"]}), r"^from_json: task=\['add'\]: must be a string"),
        (
            lambda: workrow.from_json(app, {"task": "secret", "args": "hunter2"}),
            "^from_json: args=<str>: must be a list",
        ),
        (lambda: workrow.from_json(app, {"task": "add", "kwargs": [1]}), "^from_json: kwargs=<list>: must be a dict"),
        (lambda: workrow.from_json(app, {"task": "add", "kwargs": {1: 2}}), "kwargs: the name 1 must be a string"),
        (lambda: workrow.from_json(app, {"task": "add", "immutable": "no"}), "immutable='no': must be true or false"),
        (lambda: workrow.from_json(app, {"task": "add", "name": 5}), "^from_json: name=5: must be a string"),
        (lambda: workrow.from_json(app, {"task": "add", "calls": 5}), "^from_json: calls=<int>: must be a list"),
        (lambda: workrow.from_json(app, {"task": "add", "calls": ["success"]}), "calls: each must be a list of when"),
        (
            lambda: workrow.from_json(app, {"task": "add", "calls": [[[], {"task": "add"}]]}),
            r"a callback fires on success, failure, end, and not on \[\]",
        ),
        (lambda: workrow.from_json(app, {"task": "add", "if_failed": "x"}), "if_failed='x': must be one of 'cancel'"),
        (lambda: workrow.from_json(app, {"tasks": []}), r"^from_json: {'tasks': \[\]} is no workflow: it must be what"),
        (lambda: workrow.from_json(app, '{"task": "add"}'), r"no workflow: .* a dict; of a text give json.loads\(text"),
        (
            lambda: add.s(1).on_success(add.s().on_success(silent.si())).on_failure(silent.si()).enqueue(None),
            "no callbacks",
        ),
    ],
)
def test_what_cannot_be_is_told(make: Any, message: str) -> None:
    with pytest.raises(workrow.WorkflowError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: workrow.chain(fetch.s("a"), silent.s()), "silent.*too many positional arguments"),
        (lambda: workrow.chain(add.s(1), add.s(2, 3)), "too many positional arguments"),
        (lambda: add.s(1).on_failure(silent.s()), r"silent.*too many positional arguments.*task.si\("),
        (lambda: workrow.chain(add.s(1)).on_complete(add.s(2, 3)), "too many positional arguments"),
        (lambda: add.s(1).compensate(silent.s()), "silent.*too many positional arguments"),
        (lambda: workrow.chain(add.s("one")), "argument x='one'"),
        (lambda: workrow.group(add.s()), "missing a required argument: 'x'"),
        (lambda: workrow.group(add.s(object())), "argument x="),
        (
            lambda: workrow.graph({"a": add.s(1), "b": add.s(2), "c": total.s()}, after={"c": ["a", "b"]}),
            "missing a required argument: 'numbers'",
        ),
        (
            lambda: workrow.chain(add.s(1), fetch.s()),  # type: ignore[arg-type]
            r"^fetch: url takes str, and is given the result of add, which returns int: .* fetch.si\(…\)",
        ),
        (lambda: workrow.chain(fetch.s("a"), total.s()), r"^total: numbers takes list\[int\], .* returns int"),  # type: ignore[arg-type]
        (lambda: workrow.chord([add.s(1)], add.s()), "^add: x takes int, and is given a list of results"),
        (lambda: workrow.chain(workrow.graph({"a": add.s(1)}), total.s()), "is given a dict of results"),
        (
            lambda: workrow.chain(add.s(1)).on_success(total.s()),
            "total: numbers takes .*, and is given the result of add",
        ),
        (lambda: workrow.group(add.s(1)).on_success(add.s()), "^add: x takes int, and is given a list of results"),
        (lambda: add.s(1).link(total.s()), "total: numbers takes .*, and is given the result of add"),
        (lambda: add.s(1).compensate(fetch.s()), "fetch: url takes str, and is given the result of add"),
        (
            lambda: workrow.graph({"a": add.s(1), "b": total.s()}, after={"b": {"numbers": "a"}}),
            "total: numbers takes .*, and is given the result of add",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_told_at_the_call(make: Any, message: str) -> None:
    with pytest.raises(workrow.ArgumentError, match=message):
        workrow.group(make()).enqueue(None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: workrow.chain(add.s(1), limited.s()), "x makes a key .* and is the result of another task"),
        (lambda: workrow.chain(add.s(1), add.options(unique=("x",)).s()), "x makes a key"),
        (lambda: workrow.group(add.options(debounce=5).s(1)), "debounce and workflows do not go together"),
        (lambda: workrow.group(add.s(1)).if_failed("explode"), "must be one of 'cancel', 'continue', 'compensate'"),  # type: ignore[arg-type]
        (lambda: add.s(1).named(""), r"^named\(''\): must be text of 1 to 200 characters"),
        (lambda: add.s(1).named("x" * 201), r"^named\('x{79}…\): must be text of 1 to 200 characters"),
        (lambda: workrow.batch(None, name=""), r"^batch\(name=''\): must be text of 1 to 200 characters, .*, or None"),
        (lambda: workrow.batch(None, name="x" * 201), r"^batch\(name='x{79}…\): must be text"),
        (lambda: workrow.batch(None, name=5), r"^batch\(name=5\): must be text"),  # type: ignore[arg-type]
        (lambda: add.s(1).named("\ud800"), r"^named\('\\ud800'\): must be .* without NUL and lone surrogates"),
        (lambda: add.s(1).link(workrow.group()), "a callback is one task"),  # type: ignore[arg-type]
        (
            lambda: workrow.from_json(app, {"task": "add", "options": {"delay": {"minutes": 5}}}),
            "^from_json: delay={'minutes': 5}: must be seconds, from 0 to 100 years: {'seconds': 5}",
        ),
        (
            lambda: workrow.from_json(app, {"task": "add", "options": {"delay": {"seconds": "5"}}}),
            "delay={'seconds': '5'}",
        ),
        (
            lambda: workrow.from_json(app, {"task": "add", "options": {"at": "soon"}}),
            "^from_json: at='soon': must be a time",
        ),
        (
            lambda: workrow.from_json(app, {"task": "add", "options": {"unique": {"bi": ["x"]}}}),
            "^unknown key of from_json's unique bi=",
        ),
        (
            lambda: workrow.group(add.options(debounce=5).s(1)).to_json(),
            "^add: debounce and workflows do not go together",
        ),
        (lambda: add.s(1).compensate(None), "must be one task"),  # type: ignore[arg-type]
        (lambda: add.s(1).append(None, None), r"^append\(to=None\): must be the context of the running task"),  # type: ignore[arg-type]
    ],
)
def test_options_that_cannot_be_kept_for_later_are_told(make: Any, message: str) -> None:
    with pytest.raises(workrow.OptionError, match=message):
        make().enqueue(None)


@pytest.mark.parametrize(
    "name", ["delay", "apply_async", "apply", "set", "clone", "set_immutable", "freeze", "on_error"]
)
def test_words_of_celery_are_told_what_there_is_here(name: str) -> None:
    flow: Any
    for flow in (add.s(1), workrow.chain(add.s(1)), workrow.group(), workrow.graph({})):
        kind = type(flow).__name__
        with pytest.raises(
            AttributeError, match=rf"^{kind}\.{name}: a word of Celery's; here: .*(enqueue|on_|\.si?|inline)\("
        ):
            getattr(flow, name)(countdown=5)
        with pytest.raises(AttributeError, match=f"^'{kind}' object has no attribute '{name}_'$"):
            getattr(flow, f"{name}_")


def test_pipes_are_told_of_chain() -> None:
    flow: Any = workrow.chain(add.s(1))
    fix = r": a word of Celery's; here: workrow\.chain\(one, other\)$"
    with pytest.raises(TypeError, match=r"^chain\(add.s\(1\)\) \| add.s\(2\)" + fix):
        flow | add.s(2)
    with pytest.raises(TypeError, match=r"^<.*Task.*> \| chain\(add.s\(1\)\)" + fix):
        add | flow
    with pytest.raises(TypeError, match=fix):
        flow |= add.s(2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: workrow.chain(add.s(1), mail.s()),
        lambda: workrow.group(add.s(1), workrow.graph({"a": add.s(1), "b": mail.s()})),
        lambda: workrow.chain(add.s(1)).on_failure(mail.s()),
        lambda: add.s(1).compensate(mail.s()),
    ],
)
def test_tasks_of_two_apps_are_refused(make: Any) -> None:
    here = __name__
    with pytest.raises(
        workrow.WorkflowError,
        match=f"^[a-z]+ of add: add is a task of {here}:app and mail of {here}:other, and no app has both: declare",
    ):
        make().enqueue(None)


def test_an_app_without_a_name_is_told_from_another() -> None:
    lone = workrow.App("postgresql:///lone")

    @lone.task(name="lone")
    async def alone() -> None: ...

    with pytest.raises(workrow.WorkflowError, match=f"lone is a task of <.*App obj.*> and add of {__name__}:app,"):
        workrow.group(alone.s(), add.s(1)).enqueue(None)


def test_a_blueprint_may_be_in_several_apps() -> None:
    both, first, second = workrow.Blueprint("both"), workrow.App("postgresql:///1"), workrow.App("postgresql:///2")

    @both.task
    async def shared() -> None: ...

    @first.task(name="one")
    async def one() -> None: ...

    @second.task(name="two", aliases=["zwei"])
    async def two() -> None: ...

    unbound = workrow.chain(shared.si(), two.si())
    with pytest.raises(UnboundTaskError, match="both.shared: its blueprint is on no app yet"):
        _ = Prepared(unbound).manager
    first.include(both)
    second.include(both)
    for task, app_of in ((one, first), (two, second)):
        flow = workrow.chain(shared.si(), task.si(), workrow.from_json(second, shared.si().to_json()))
        assert Prepared(flow).manager is app_of.job_manager
    assert Prepared(workrow.from_json(second, {"group": [{"task": "zwei"}, {"task": "both.shared"}]})).plan.size == 2
    with pytest.raises(workrow.WorkflowError, match="and no app has both"):
        Prepared(workrow.group(shared.si(), one.si(), two.si()))


def test_what_may_fit_by_its_annotation_is_taken() -> None:
    own = workrow.App("postgresql:///nowhere")
    kinds: list[Any] = [int, float, int | None, list[int], dict[str, int], Login, date, Any, bool]
    fits = {
        int: {int, float, int | None, date, Any},
        float: {float, date, Any},
        int | None: {int, float, int | None, date, Any},
        list[int]: {list[int], date, Any},
        dict[str, int]: {dict[str, int], Login, date, Any},
        Login: {dict[str, int], Login, date, Any},
        date: set(kinds),  # kept as text; whether that fits is not looked at
        Any: set(kinds),
        bool: {bool, date, Any},
    }
    for number, given in enumerate(kinds):

        async def give() -> Any: ...

        give.__annotations__["return"] = given
        giver: Any = own.task(name=f"give{number}")(give)
        taken = set()
        for other, kind in enumerate(kinds):

            async def take(x: Any) -> None: ...

            take.__annotations__["x"] = kind
            taker: Any = own.task(name=f"take{number}-{other}")(take)
            try:
                Plan(workrow.chain(giver.s(), taker.s()))
            except workrow.ArgumentError:
                continue
            taken.add(kind)
        assert taken == fits[given], given


def test_what_says_itself_how_it_is_stored_or_read_is_taken() -> None:
    own = workrow.App("postgresql:///nowhere")

    @own.task(name="as_text")
    async def as_text() -> Annotated[int, PlainSerializer(str)]: ...

    @own.task(name="text")
    async def text(x: str) -> None: ...

    @own.task(name="number")
    async def number() -> int: ...

    @own.task(name="split")
    async def split(x: Annotated[list[str], BeforeValidator(lambda value: value.split(","))]) -> None: ...

    Plan(workrow.chain(as_text.s(), text.s()))  # type: ignore[arg-type]
    Plan(workrow.chain(number.s(), split.s()))  # type: ignore[arg-type]


def test_a_bad_max_workflow_size_is_told() -> None:
    with pytest.raises(workrow.ConfigurationError, match="max_workflow_size=0: must be a number of tasks"):
        workrow.App("postgresql:///nowhere", max_workflow_size=0)


def test_large_groups_count_down_in_stripes() -> None:
    plan = Plan(workrow.group(add.s(n) for n in range(2500)))
    stripes = [node for node in plan.nodes if node.kind == "stripe"]
    assert [stripe.pending for stripe in stripes] == [1000, 1000, 500]
    root = plan.nodes[plan.root]
    assert (root.kind, root.pending, root.parents) == ("gather", 3, list(range(2500)))


def test_one_statement_has_all_of_it() -> None:
    params = Prepared(WHOLE).params()
    assert set(params) == {"flow", "args", "queues"}
    assert params["queues"] == '{"default":1}'


def test_a_workflow_without_a_name_is_called_its_shape_and_its_first_task() -> None:
    called = workrow.chain(fetch.s("a").on_success(add.s()), total.si([1])).on_failure(silent.si())
    assert '"name":"chain of fetch"' in Prepared(called).params()["flow"]
