"""Exceptions that do not survive pickle, or not whole, as SDKs and drivers have them."""

import asyncio
import dataclasses
import errno
import json
import threading
import types
import urllib.error
from collections.abc import Callable
from email.message import Message
from typing import Any, Generic, TypeVar

import httpx
import psycopg
import pydantic
import sqlalchemy.exc

import workrow

T = TypeVar("T")


class ApiError(Exception):
    def __init__(self, code: int, message: str, *, request_id: str) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id
        self.retry_after = 300


class BadCard(ApiError): ...


class Unfit(ApiError):
    def __init__(self, text: str) -> None:
        super().__init__(422, text, request_id="r")


class Doubled(Exception):
    """Pickle makes it, with another message."""

    def __init__(self, code: int) -> None:
        super().__init__(f"failed with {code}")
        self.status_code = code


class Locked(ApiError):
    """Holds what cannot be pickled; and a response that cannot, of which the headers are wanted."""

    def __init__(self) -> None:
        super().__init__(429, "locked", request_id="r")
        del self.retry_after
        self.lock = threading.Lock()
        self.response = types.SimpleNamespace(status_code=429, headers={"Retry-After": "770"}, lock=self.lock)


class Slotted(Exception):
    __slots__ = ("__hidden", "retry_after")

    def __init__(self, seconds: int, *, hidden: str) -> None:
        self.retry_after = seconds
        self.__hidden = hidden


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    retry_after: int
    why: str = dataclasses.field(kw_only=True)


class Picky(Exception):
    def __new__(cls, *, key: str) -> "Picky":
        made = super().__new__(cls, key)
        made.key = key  # type: ignore[attr-defined]
        return made

    def __init__(self, *, key: str) -> None: ...


class Mean(ApiError):
    def __reduce__(self) -> Any:
        raise TypeError("not me")


class Liar(ApiError):
    """It is pickled as something else."""

    def __reduce__(self) -> Any:
        return ValueError, ("another one",)


class Treacherous(ApiError):
    """It is made again in one process and not in the other."""

    def __reduce__(self) -> Any:
        return _made_where_it_was, (threading.main_thread().native_id,)


def _made_where_it_was(thread: int) -> BaseException:
    if thread != threading.main_thread().native_id:
        raise SystemExit(7)
    return Treacherous(1, "t", request_id="r")


class Wide(OSError, Generic[T]):
    def __init__(self, number: int, *, path: str) -> None:
        super().__init__(number, "no such thing", path)


class Unprintable(ApiError):
    def __str__(self) -> str:
        raise ValueError("no words")


class Strict(Exception):
    """Takes no subclass without a word."""

    def __init_subclass__(cls, *, word: str) -> None: ...


class Forgetful(Exception):
    """Asks itself for what it does not have."""

    def __init__(self, response: Any) -> None:
        self.response = response

    def __getattr__(self, name: str) -> Any:
        return getattr(self.response, name)


class Team(ExceptionGroup[Exception]):
    def __new__(cls, errors: list[Exception], *, name: str) -> "Team":
        made = super().__new__(cls, name, errors)
        made.name = name
        return made

    name: str


def _validation() -> BaseException:
    try:
        pydantic.TypeAdapter(int).validate_python("x")
    except pydantic.ValidationError as error:
        return error
    raise AssertionError


def _decoding() -> BaseException:
    try:
        json.loads("{")
    except ValueError as error:
        return error
    raise AssertionError


def _http(status: int, **headers: str) -> BaseException:
    request = httpx.Request("GET", "http://x")
    response = httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()}, request=request)
    return httpx.HTTPStatusError("no", request=request, response=response)


def _only_here(name: str, base: type[BaseException] = Exception) -> BaseException:
    class Made(base):  # type: ignore[misc]
        retry_after = 130

    Made.__name__ = Made.__qualname__ = name
    return Made("boo")


def _noted() -> BaseException:
    error = BadCard(402, "card", request_id="r")
    error.add_note("for tenant 5")
    return error


def _from(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def _looped() -> BaseException:
    first, second = ApiError(1, "a", request_id="r"), BadCard(2, "b", request_id="r")
    first.__cause__, second.__cause__ = second, first
    return first


def _api() -> ApiError:
    return ApiError(429, "slow down", request_id="r2")


AWKWARD: dict[str, Callable[[], BaseException]] = {
    "own arguments": _api,
    "a subclass": lambda: BadCard(400, "bad card", request_id="r1"),
    "made otherwise": lambda: Doubled(503),
    "a lock and a response": Locked,
    "slots": lambda: Slotted(400, hidden="h"),
    "frozen": lambda: Frozen(500, why="w"),
    "own new": lambda: Picky(key="k"),
    "no pickle": lambda: Mean(429, "mean", request_id="r"),
    "a liar": lambda: Liar(429, "liar", request_id="r"),
    "treacherous": lambda: Treacherous(429, "t", request_id="r"),
    "an OSError": lambda: Wide(errno.ENOENT, path="/x"),
    "unprintable": lambda: Unprintable(400, "u", request_id="r"),
    "no subclasses": lambda: Strict("s"),
    "forwards": lambda: Forgetful(types.SimpleNamespace(retry_after=900)),
    "only in the child": lambda: _only_here("NotFound"),
    "only in the child, a timeout": lambda: _only_here("ReadTimeout", TimeoutError),
    "only in the child, one of ours": lambda: _only_here("X", Unfit),
    "huge": lambda: ValueError("x" * 3_000_000),
    "notes": _noted,
    "a cause": lambda: _from(RuntimeError("outer"), BadCard(1, "inner", request_id="r")),
    "causes in a ring": _looped,
    "a group of one": lambda: ExceptionGroup("g", [BadCard(1, "b", request_id="r")]),
    "a group of two": lambda: ExceptionGroup("g", [_api(), _validation()]),  # type: ignore[list-item]
    "a group of its own": lambda: Team([_api()], name="team"),
    "groups in groups": lambda: ExceptionGroup("g", [ExceptionGroup("h", [_api()])]),
    "a group of a directive": lambda: ExceptionGroup("g", [workrow.Snooze(in_=600)]),
    "RateLimited": lambda: workrow.RateLimited("429", retry_after=600),
    "Discard": lambda: workrow.Discard("why"),
    "Snooze": lambda: workrow.Snooze("busy", in_=600),
    "RetryLater": lambda: _from(workrow.RetryLater("later", in_=600), BadCard(1, "b", request_id="r")),
    "SoftTimeLimitExceeded": lambda: workrow.SoftTimeLimitExceeded("slow"),
    "validation": _validation,
    "JSON": _decoding,
    "HTTP": lambda: _http(429, Retry_After="330"),
    "HTTP, wrong data": lambda: _http(422),
    "urllib": lambda: urllib.error.HTTPError("http://x", 503, "busy", Message(), None),
    "urllib's": lambda: urllib.error.URLError(ConnectionRefusedError(111, "no")),
    "psycopg": lambda: psycopg.errors.SerializationFailure("again"),
    "SQLAlchemy": lambda: sqlalchemy.exc.DBAPIError("SELECT", {}, psycopg.errors.DeadlockDetected("dead")),
    "SQLAlchemy, none": lambda: sqlalchemy.exc.NoResultFound("none"),
    "Unicode": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    "StopIteration": lambda: StopIteration(3),
    "SystemExit": lambda: SystemExit(3),
    "cancelled": lambda: asyncio.CancelledError("c"),
    "misfit": lambda: TypeError("unexpected"),
}


def fail(kind: str) -> None:
    raise AWKWARD[kind]()
