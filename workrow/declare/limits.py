"""Limits: how many jobs run at a time, and how many start in a time, over all workers."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from inspect import Parameter, Signature
from typing import Any, Literal

from workrow import sql
from workrow.arguments.secrets import NOTHING, hides
from workrow.errors import INT4_MAX, LONGEST, OptionError, brief, is_whole

KEY_MAX = 100
"""Characters of a key that are shown as they are; of a longer one, the start and a hash."""
NAME_MAX = 128
"""Characters of a limit's name, as of a task's."""
LINE_MAX = 2600
"""Bytes of a line: an entry of its index takes 2,704. https://www.postgresql.org/docs/current/btree.html"""
HELD = datetime.fromisoformat(sql.fragment("far_future").strip("'"))
"""The ``scheduled_at`` of a job that waits in a line: who does not know of limits never finds it due."""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
RATE = re.compile(r"\s*(\d{1,10})\s*/\s*(\d{1,10}(?:\.\d{1,10})?)?\s*([smhd])\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many jobs run at the same time, over all workers.

    Args:
        max_running: how many, at least 1.
        key: the name of an argument: each of its values has a limit of its own, and they take turns.
        name: limits with the same name count together, whatever task declares them; by default the task's name.
        scope: "queue": together with all tasks of the queue that the task declares which say the same.

    Raises:
        OptionError: at declaration, for a value that cannot work.
    """

    max_running: int
    key: str | None = None
    name: str | None = None
    scope: Literal["task", "queue"] = "task"

    def __post_init__(self) -> None:
        if not is_whole(self.max_running, 1):
            raise OptionError(f"Limit({brief(self.max_running)}): must be a whole number of jobs, at least 1")
        _check_names("Limit", self.key, self.name, self.scope)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many jobs start in a time, over all workers.

    A token bucket: it holds ``burst`` tokens, a job takes one, and ``count`` come back in each period. On top of that
    no window of one period, wherever it begins, sees more than the larger of ``count`` and ``burst`` start.

    Args:
        rate: "count/period", the period in s, m, h or d: "100/m" is a hundred a minute, "5/10s" five in ten seconds.
        key: the name of an argument: each of its values has a rate of its own.
        burst: how many may start at once after a quiet time; ``count`` by default.
        name: rates with the same name count together, whatever task declares them; by default the task's name.
        scope: "queue": together with all tasks of the queue that the task declares which say the same.

    Raises:
        OptionError: at declaration, for a value that cannot work.
    """

    rate: str
    key: str | None = None
    burst: int | None = None
    name: str | None = None
    scope: Literal["task", "queue"] = "task"

    def __post_init__(self) -> None:
        found = RATE.fullmatch(self.rate) if isinstance(self.rate, str) else None
        if not found or not 1 <= int(found[1]) <= INT4_MAX or not 0 < self.seconds <= LONGEST:
            raise OptionError(
                f"Rate({brief(self.rate)}): must be a count and a period, such as '100/m', '5/10s' or '1000/d' "
                "(s, m, h, d)"
            )
        if self.burst is not None and not is_whole(self.burst, 1):
            raise OptionError(
                f"Rate({self.rate!r}, burst={brief(self.burst)}): must be a whole number of jobs, at least 1"
            )
        _check_names("Rate", self.key, self.name, self.scope)

    @property
    def count(self) -> int:
        """Jobs in each period."""
        return int(self._parts[1])

    @property
    def seconds(self) -> float:
        """The period."""
        return float(self._parts[2] or 1) * UNITS[self._parts[3]]

    @property
    def _parts(self) -> re.Match[str]:
        found = RATE.fullmatch(self.rate)
        assert found is not None  # checked when made
        return found


Limits = Limit | Rate | Sequence[Limit | Rate]
"""What ``limits=`` takes: one, or several that must all hold."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of ``workrow.limit_rules``: what the code declares for one limit name."""

    name: str
    max_running: int | None = None
    rate_count: int | None = None
    rate_seconds: float | None = None
    rate_burst: int | None = None

    @property
    def shown(self) -> str:
        """As it may be read in a message."""
        said = [] if self.max_running is None else [f"Limit({self.max_running})"]
        if self.rate_count is not None:
            said.append(f"Rate('{self.rate_count}/{self.rate_seconds:g}s', burst={self.rate_burst})")
        return " and ".join(said)


class Line:
    """Where the jobs of one task queue for its limits.

    Args:
        task: the task's name.
        queue: the queue that it declares.
        limits: the limits that it declares.
        signature: its arguments.
        hidden: the names of those that are not to be shown.

    Raises:
        OptionError: a key names no argument, or two limits are the same.
    """

    def __init__(
        self,
        task: str,
        queue: str,
        limits: Limits,
        signature: Signature,
        hidden: Callable[[], frozenset[str]] = lambda: NOTHING,
    ) -> None:
        given: Sequence[Limit | Rate] = tuple(limits) if isinstance(limits, Sequence) else (limits,)
        open_ended = any(each.kind is Parameter.VAR_KEYWORD for each in signature.parameters.values())
        for limit in given:
            if not isinstance(limit, Limit | Rate):
                raise OptionError(f"limits={limits!r}: must be a Limit, a Rate, or several of them")
            if limit.key is not None and limit.key not in signature.parameters and not open_ended:
                raise OptionError(f"{limit!r}: key names no argument of {task}{signature}")
        self._task = task
        self._hidden = hidden
        self._defaults = {
            name: each.default for name, each in signature.parameters.items() if each.default is not Parameter.empty
        }
        self._named = [(self._name(limit, queue), limit.key) for limit in given]
        self.rules = self._rules(given)

    @property
    def has_keys(self) -> bool:
        """Whether its buckets depend on a job's arguments."""
        return any(key is not None for _, key in self._named)

    def of(self, queue: str, arguments: Mapping[str, Any], version: int | None = None) -> str:
        """The line of a job: a JSON array of its queue, its task, and the buckets that it takes a place in.

        With a ``version`` the second is ``"task:version"``: workers that do not know it pass the whole line.
        """
        buckets = dict.fromkeys(
            name if key is None else f"{name}={self._value(key, arguments)}" for name, key in self._named
        )
        task = self._task if version is None else f"{self._task}:{version}"
        line = json.dumps([queue, task, *buckets], ensure_ascii=False)
        # a character is 4 bytes at most
        if len(line) * 4 > LINE_MAX and (size := len(line.encode(errors="surrogatepass"))) > LINE_MAX:
            raise OptionError(
                f"{self._task}: its queue, its name and the keys of its limits take {size:,} bytes, at most "
                f"{LINE_MAX:,} fit their index; use shorter names, or fewer limits"
            )
        return line

    def _value(self, key: str, arguments: Mapping[str, Any]) -> str:
        value = arguments.get(key, self._defaults.get(key))
        return f"#{_hash(_text(value))}" if hides(self._hidden(), key) else _shown(value)

    def _rules(self, limits: Sequence[Limit | Rate]) -> list[Rule]:
        rules: dict[str, dict[str, Any]] = {}
        for limit, (name, _) in zip(limits, self._named, strict=True):
            rule = rules.setdefault(name, {})
            said: dict[str, Any] = (
                {"max_running": limit.max_running}
                if isinstance(limit, Limit)
                else {
                    "rate_count": limit.count,
                    "rate_seconds": limit.seconds,
                    "rate_burst": limit.burst or limit.count,
                }
            )
            if rule.keys() & said.keys():
                raise OptionError(f"{limit!r}: there are two such limits; give one of them a name= of its own")
            rule |= said
        return [Rule(name, **rule) for name, rule in rules.items()]

    def _name(self, limit: Limit | Rate, queue: str) -> str:
        name = limit.name or (f"queue:{queue}" if limit.scope == "queue" else self._task)
        # a bucket is name=key: what is left of the first "=" must be the name
        name = name.replace("=", "-")
        return name if limit.key is None else f"{name}/{limit.key}"


def _shown(value: object) -> str:
    text = _text(value)
    return text if len(text) <= KEY_MAX else f"{text[: KEY_MAX - 20]}…{_hash(text)}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)


def _hash(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_names(kind: str, key: object, name: object, scope: object) -> None:
    for option, value in (("key", key), ("name", name)):
        if value is not None and (not isinstance(value, str) or not value or "\x00" in value):
            raise OptionError(f"{kind}({option}={value!r}): must be a non-empty string")
    if isinstance(name, str) and len(name) > NAME_MAX:
        raise OptionError(f"{kind}(name={brief(name)}): has {len(name):,} characters, at most {NAME_MAX} fit")
    if scope not in ("task", "queue"):
        raise OptionError(f"{kind}(scope={scope!r}): must be 'task' or 'queue'")
    if name is not None and scope == "queue":
        raise OptionError(f"{kind}(name={name!r}, scope='queue'): give one of the two")
