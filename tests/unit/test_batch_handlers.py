"""What a batch handler may look like, and what is said of others at import."""

import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import pydantic
import pytest
from procrastinate.testing import InMemoryConnector
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

import workrow
from workrow.declare.batch import Batch


class Doc(NamedTuple):
    id: int
    title: str = "x"


@dataclasses.dataclass
class Point:
    x: "int"
    tags: list[str] = dataclasses.field(default_factory=list)


class Order(pydantic.BaseModel):
    id: int
    lines: list[str] = pydantic.Field(default_factory=list)


def task_of(func: Callable[..., Any], batch: Any, **options: Any) -> Any:
    return workrow.App(connector=InMemoryConnector()).task(name="t", batch=batch, **options)(func)


def docs_of(docs: list[Doc]) -> list[int | Exception]:
    return []


def points_of(contexts: list[workrow.JobContext], points: Sequence[Point]) -> None: ...
def orders_of(orders: list[Order]) -> list[str | None] | None: ...


def pairs_of(pairs: "list[tuple[int, str]]") -> "list[tuple[int, int]]":
    return []


def promised(pairs: list[tuple[int]]) -> Awaitable[list[float | ValueError]]:
    raise NotImplementedError


def in_session_with_contexts(session: Session, contexts: list[workrow.JobContext], docs: list[Doc]) -> None: ...
def told_by_batch(docs, *, other: Any = workrow.inject()): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("func", "batch", "signature"),
    [
        (docs_of, Batch(size=3), "(id: int, title: str = 'x') -> int"),
        (docs_of, Batch(Doc), "(id: int, title: str = 'x') -> int"),
        (points_of, Batch(Point), "(x: int, tags: list[str] = []) -> None"),
        (orders_of, Batch(Order, by="id"), "(*, id: int, lines: list[str] = []) -> str | None"),
        (pairs_of, Batch(by=("arg0", "arg1")), "(arg0: int, arg1: str) -> tuple[int, int]"),
        (promised, Batch(within=timedelta(hours=1)), "(arg0: int) -> float"),
        (in_session_with_contexts, Batch(Doc), "(id: int, title: str = 'x') -> None"),
        (told_by_batch, Batch(Doc), "(id: int, title: str = 'x')"),
    ],
)
def test_a_job_has_the_arguments_of_one_and_the_result_of_one(func: Any, batch: Any, signature: str) -> None:
    task = task_of(func, batch, transactional=func is in_session_with_contexts)
    assert (
        str(task.signature).replace("Optional[str]", "str | None").replace("Union[str, NoneType]", "str | None")
        == signature
    )
    assert inspect.signature(task.func) == inspect.signature(func)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": 0}, "Batch(size=0): must be a whole number of jobs, from 1 to 10,000"),
        ({"size": 1.5}, "Batch(size=1.5): must be"),
        ({"size": True}, "Batch(size=True): must be"),
        ({"size": 10_001}, "Batch(size=10001): must be"),
        ({"within": -1}, "Batch(within=-1): must be a number of seconds or a timedelta, up to an hour"),
        ({"within": float("nan")}, "Batch(within=nan): must be"),
        ({"within": timedelta(hours=2)}, "Batch(within=datetime.timedelta(seconds=7200)): must be"),
        ({"within": "1s"}, "Batch(within='1s'): must be"),
        ({"by": lambda doc: doc.id}, "must be the name of an argument, or a tuple of names"),
        ({"by": ()}, "Batch(by=()): must be the name of an argument"),
        ({"by": ["id"]}, "Batch(by=['id']): must be"),
        ({"by": (1,)}, "Batch(by=(1,)): must be"),
        ({"of": int}, "Batch(<class 'int'>): must be a NamedTuple, a dataclass or a pydantic model"),
        ({"of": 5}, "Batch(5): must be a NamedTuple"),
    ],
)
def test_bad_batches_are_refused(options: Any, told: str) -> None:
    with pytest.raises(workrow.OptionError) as raised:
        Batch(**options)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def nothing() -> None: ...
def many(a: list[Doc], b: list[Doc], c: list[Doc]) -> None: ...
def starred(*docs: Doc) -> None: ...
def one(doc: Doc) -> None: ...
def unannotated(docs): ...  # type: ignore[no-untyped-def]
def of_int(numbers: list[int]) -> None: ...
def of_any(numbers: list) -> None: ...  # type: ignore[type-arg]
def of_tuples(numbers: list[tuple]) -> None: ...  # type: ignore[type-arg]
def endless(numbers: list[tuple[int, ...]]) -> None: ...
def one_context(ctx: workrow.JobContext, docs: list[Doc]) -> None: ...
def two(docs: list[Doc], more: list[Doc]) -> None: ...
def unknown(docs: "list[NoSuchThing]") -> None: ...  # type: ignore[name-defined] # noqa: F821
def unknown_but_named(docs: "list[NoSuchThing]") -> None: ...  # type: ignore[name-defined] # noqa: F821
def answers_number(docs: list[Doc]) -> int:
    return 0


def in_session(session: Session, docs: list[Doc]) -> None: ...
def in_async(session: AsyncSession, docs: list[Doc]) -> None: ...
def answers_text(docs: list[Doc]) -> str:
    return ""


@pytest.mark.parametrize(
    ("func", "batch", "options", "told"),
    [
        (nothing, Batch(), {}, "the function must take one list of jobs"),
        (many, Batch(), {}, "here it takes (a: "),
        (starred, Batch(), {}, "the function must take one list of jobs"),
        (one, Batch(), {}, "is no list of jobs; annotate it list["),
        (unannotated, Batch(), {}, "parameter docs: what are the arguments of a job? annotate it list["),
        (of_int, Batch(), {}, "what are the arguments of a job?"),
        (of_any, Batch(), {}, "what are the arguments of a job?"),
        (of_tuples, Batch(), {}, "what are the arguments of a job?"),
        (endless, Batch(), {}, "a tuple of any length says nothing"),
        (one_context, Batch(), {}, "each job has its context; annotate it list[JobContext]"),
        (two, Batch(), {}, "of two parameters the first, docs: "),
        (unknown, Batch(), {}, "is needed at run time: name 'NoSuchThing' is not defined"),
        (
            answers_number,
            Batch(),
            {},
            "the function answers <class 'int'>: it must return a list with an answer for each",
        ),
        (answers_text, Batch(), {}, "it must return a list"),
        (docs_of, Batch(Point), {}, "is no list of the Point that Batch(Point) names"),
        (docs_of, Batch(by="author"), {}, "Batch(by='author'): is no argument; known are id, title"),
        (docs_of, 5, {}, "batch=5: must be a workrow.Batch, such as Batch(size=100, within=0.5)"),
        (docs_of, Batch, {}, "must be a workrow.Batch"),
        (docs_of, Batch(), {"transactional": True}, "the first parameter must be annotated Session"),
        (in_async, Batch(), {"transactional": True}, "the first parameter must be annotated Session"),
        (in_session, Batch(), {}, "session: sqlalchemy.orm.session.Session is no list of jobs; annotate"),
        (docs_of, Batch(), {"run_in": "process"}, "batch=… and run_in='process' do not go together"),
        (docs_of, Batch(), {"lock": "x"}, "batch=… and lock='x' do not go together"),
        (docs_of, Batch(), {"pass_context": True}, "annotate the first parameter list[JobContext]"),
        (docs_of, Batch(), {"unique": ("author",)}, "author"),
        (docs_of, Batch(), {"hide": ("author",)}, "author"),
    ],
)
def test_bad_handlers_are_refused_at_import(func: Any, batch: Any, options: Any, told: str) -> None:
    with pytest.raises(workrow.OptionError) as raised:
        task_of(func, batch, **options)
    assert str(raised.value).startswith("task t: ")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_the_batch_names_needs_no_annotation_that_exists() -> None:
    assert task_of(unknown_but_named, Batch(Doc)).signature.parameters.keys() == {"id", "title"}


def test_batches_are_values() -> None:
    assert Batch(Doc, size=3, within=timedelta(seconds=2), by="id") == Batch(Doc, size=3, within=2, by=("id",))
    assert repr(Batch(size=3)) == "Batch(of=None, size=3, within=1.0, by=())"
    assert task_of(docs_of, None).signature.parameters.keys() == {"docs"}, "batch=None is none"
