"""Rules for a second call: one job a key, the last call of a burst, so many jobs in a window."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from workrow.arguments.secrets import NOTHING, RESULT, hides
from workrow.errors import OptionError, brief, is_whole, seconds_in

By: TypeAlias = tuple[str, ...] | Literal["args"] | None
"""What a key is made of: these arguments, all of them, or nothing but the task."""
Conflict = Literal["skip", "replace", "reschedule", "raise"]

CONFLICTS = ("skip", "replace", "reschedule", "raise")
LIVE = ("todo", "doing")
FINISHED = ("succeeded", "failed", "cancelled", "aborted")
MOST_IN_A_WINDOW = 1000
READABLE = 200
"""Characters up to which a key is stored as it reads; a longer one is hashed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """At most one job of a task with the same values.

    Args:
        by: the names of the arguments whose values make the key; "args" for all of them; None for the task alone.
        within: seconds or a timedelta: jobs that were enqueued in so long a time count even if they have ended.
        states: which jobs count: ("todo", "doing") by default; ("todo",) lets a new one wait while one runs. With
            ``within``, also "succeeded" (in its default), "failed", "cancelled" and "aborted".
        on_conflict: "skip" finds the job that is there; "replace" also gives it, while it waits, the new arguments
            and priority (while it runs they are dropped: see ``states``); "reschedule" gives it the new time; "raise"
            raises ``AlreadyEnqueued``.

    Raises:
        OptionError: a value that cannot work.
    """

    by: By = "args"
    within: float | timedelta | None = None
    states: tuple[str, ...] | None = None
    on_conflict: Conflict = "skip"

    def __post_init__(self) -> None:
        _check_by(self.by)
        if self.on_conflict not in CONFLICTS:
            raise OptionError(f"on_conflict={self.on_conflict!r}: must be one of {', '.join(map(repr, CONFLICTS))}")
        if self.within is not None:
            check_seconds("within", self.within)
        self._check_states()

    def _check_states(self) -> None:
        states = self.states
        if states is None:
            return
        if not isinstance(states, tuple) or not states or any(state not in LIVE + FINISHED for state in states):
            raise OptionError(f"states={states!r}: must be a tuple of {', '.join(map(repr, LIVE + FINISHED))}")
        if "todo" not in states:
            raise OptionError(f"states={states!r}: must include 'todo', for two could wait otherwise")
        if set(states) & set(FINISHED):
            if self.within is None:
                raise OptionError(f"states={states!r}: jobs that have ended count only with within=…")
            if "doing" not in states:
                raise OptionError(f"states={states!r}: must include 'doing' where jobs that have ended count")
        elif self.within is not None:
            raise OptionError(f"within={self.within!r} says nothing with states={states!r}: add 'succeeded' to them")

    @property
    def waiting_only(self) -> bool:
        """Whether a job that runs does not count."""
        return self.states is not None and "doing" not in self.states

    @property
    def finished(self) -> tuple[str, ...]:
        """Which ends count."""
        states = self.states or (*LIVE, "succeeded")
        return () if self.within is None else tuple(state for state in states if state not in LIVE)

    def as_json(self) -> dict[str, Any]:
        """What the database is told."""
        rule: dict[str, Any] = {"kind": "waiting" if self.waiting_only else "live", "on_conflict": self.on_conflict}
        if self.within is not None:
            rule["within"] = check_seconds("within", self.within)
            rule["states"] = list(self.finished)
        return rule


@dataclass(frozen=True, slots=True)
class Debounce:
    """The last call of a burst: each new one gives the waiting job its arguments and puts its start off again.

    A call while the job runs enqueues the next one.

    Args:
        seconds: how long it has to be quiet, seconds or a timedelta.
        by: as for `Unique`.
        max_wait: seconds or a timedelta after the first call at which the job starts, quiet or not.

    Raises:
        OptionError: a value that cannot work.
    """

    seconds: float | timedelta
    by: By = "args"
    max_wait: float | timedelta | None = None

    def __post_init__(self) -> None:
        _check_by(self.by)
        seconds = check_seconds("seconds", self.seconds)
        if self.max_wait is not None and check_seconds("max_wait", self.max_wait) < seconds:
            raise OptionError(f"max_wait={self.max_wait!r}: must be at least the {seconds:g} s of quiet")

    @property
    def waiting_only(self) -> bool:
        """Whether a job that runs does not count."""
        return True

    def as_json(self) -> dict[str, Any]:
        """What the database is told."""
        rule: dict[str, Any] = {"kind": "waiting", "on_conflict": "debounce"}
        rule["wait"] = check_seconds("seconds", self.seconds)
        if self.max_wait is not None:
            rule["max_wait"] = check_seconds("max_wait", self.max_wait)
        return rule


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most so many jobs in any window of time; more calls enqueue nothing.

    Args:
        limit: how many, 1 to 1,000.
        per: the window, seconds or a timedelta.
        by: as for `Unique`; None, the default, for the task alone.
        on_conflict: "skip" finds the last job that was let through; "raise" raises ``AlreadyEnqueued``.

    Raises:
        OptionError: a value that cannot work.
    """

    limit: int
    per: float | timedelta
    by: By = None
    on_conflict: Literal["skip", "raise"] = "skip"

    def __post_init__(self) -> None:
        _check_by(self.by)
        if not is_whole(self.limit, 1, MOST_IN_A_WINDOW):
            raise OptionError(f"limit={brief(self.limit)}: must be a whole number from 1 to {MOST_IN_A_WINDOW}")
        check_seconds("per", self.per)
        if self.on_conflict not in ("skip", "raise"):
            raise OptionError(f"on_conflict={self.on_conflict!r}: must be 'skip' or 'raise'")

    @property
    def waiting_only(self) -> bool:
        """Whether a job that runs does not count."""
        return False

    def as_json(self) -> dict[str, Any]:
        """What the database is told."""
        per = check_seconds("per", self.per)
        return {"kind": "throttle", "on_conflict": self.on_conflict, "limit": self.limit, "per": per}


Rule: TypeAlias = Unique | Debounce | Throttle


def as_unique(value: object) -> Unique | None:
    """``unique=`` as it may be written: a `Unique`, a tuple of argument names, or None.

    Raises:
        OptionError: it is something else.
    """
    if value is None or isinstance(value, Unique):
        return value
    if isinstance(value, tuple):
        try:
            return Unique(by=value)
        except OptionError:
            pass
    raise OptionError(
        f"unique={brief(value)}: must be a tuple of argument names, such as ('user_id',), or Unique(…)"
    ) from None


def as_debounce(value: object) -> Debounce | None:
    """``debounce=`` as it may be written: a `Debounce`, seconds, a timedelta, or None.

    Raises:
        OptionError: it is something else.
    """
    if value is None or isinstance(value, Debounce):
        return value
    check_seconds("debounce", value)
    return Debounce(value)  # type: ignore[arg-type]


def as_throttle(value: object) -> Throttle | None:
    """``throttle=``: a `Throttle` or None.

    Raises:
        OptionError: it is something else.
    """
    if value is None or isinstance(value, Throttle):
        return value
    raise OptionError(f"throttle={brief(value)}: must be Throttle(limit, per=seconds)")


def check_names(rule: Rule | None, signature: inspect.Signature) -> None:
    """Raise OptionError if the rule's ``by`` names no argument of the task."""
    if rule is None or not isinstance(rule.by, tuple):
        return
    known = signature.parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for name in rule.by:
        if name not in known:
            raise OptionError(f"by={rule.by!r}: {name!r} is no argument; known are {', '.join(known) or 'none'}")


def _as_json(default: Any) -> Any:
    """A default as an equal argument is stored, as far as that is known without its annotation."""
    if isinstance(default, set | frozenset):
        return sorted(map(_as_json, default), key=json.dumps)
    import pydantic_core

    return pydantic_core.to_jsonable_python(default)


_ENCODE = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=_as_json).encode


def keys_of(
    task: str,
    rule: Rule,
    signature: inspect.Signature,
    arguments: Sequence[Mapping[str, Any]],
    hidden: frozenset[str] = NOTHING,
) -> list[str]:
    """For each set of arguments what jobs that count as the same share. One that is not given counts by its default.

    A key with one of the ``hidden`` arguments in it is a hash.
    """
    by = rule.by
    if by is None:
        return [task] * len(arguments)
    defaults = {
        name: _as_json(parameter.default)
        for name, parameter in signature.parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    if isinstance(by, tuple):
        chosen = [(name, defaults.get(name)) for name in by]
        texts = [_ENCODE({name: each.get(name, default) for name, default in chosen}) for each in arguments]
    else:
        texts = [_ENCODE({**defaults, **each}) for each in arguments]
    secret = any(hides(hidden, name) for name in by) if isinstance(by, tuple) else bool(hidden - {RESULT})
    most = 0 if secret else READABLE - len(task) - 1
    return [f"{task}:{text if len(text) <= most else _hash(text)}" for text in texts]


def _hash(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def check_seconds(name: str, value: object) -> float:
    """The seconds of a number or a timedelta.

    Raises:
        OptionError: it is neither, or not above 0.
    """
    if not (seconds := seconds_in(value)):
        raise OptionError(
            f"{name}={brief(value)}: must be a timedelta or a number of seconds, above 0 and at most 100 years"
        )
    return seconds


def _check_by(by: object) -> None:
    if by is None or by == "args":
        return
    if isinstance(by, str):
        raise OptionError(f"by={by!r}: must be a tuple of argument names: ({by!r},), or 'args', or None")
    if not isinstance(by, tuple) or not by or not all(isinstance(name, str) and name for name in by):
        raise OptionError(f"by={by!r}: must be a tuple of argument names, or 'args', or None")
    if len(set(by)) < len(by):
        raise OptionError(f"by={by!r}: names an argument twice")
