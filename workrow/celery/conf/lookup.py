"""Where a setting is looked up, and under which names."""

import os
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from workrow.celery.conf.known import known, new_names
from workrow.celery.conf.meaning import check

MISSING: Any = object()
_ENVIRONMENT = {
    "broker_url": "CELERY_BROKER_URL",
    "broker_read_url": "CELERY_BROKER_READ_URL",
    "broker_write_url": "CELERY_BROKER_WRITE_URL",
    "result_backend": "CELERY_RESULT_BACKEND",
}
_OTHERWISE = {
    "broker_read_url": "broker_url",
    "broker_write_url": "broker_url",
    "task_default_exchange": "task_default_queue",
    "task_default_routing_key": "task_default_queue",
}


class Lookup(MutableMapping[str, Any]):
    """Settings as items and attributes, in dicts that are asked one after the other, under new names and old ones."""

    def __init__(self, namespace: str | None = None) -> None:
        self._configured = False
        self._namespace = namespace
        self._written: list[str] = []
        self._own: dict[str, Any] = {}
        self._maps: list[Mapping[str, Any]] = []
        self._names: dict[str, tuple[str, ...]] = {}
        self._asked: dict[str, tuple[str | None, str | None]] = {}

    def _read(self) -> None:
        """Fill ``_maps``, and set ``_configured``."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> Any:
        if not self._configured:
            self._read()
        told = self._asked.get(key)
        if told is None:  # settings are asked for several times with each call
            name = new_names().get(key, key)
            told = self._asked[key] = _ENVIRONMENT.get(name), _OTHERWISE.get(name)
        variable, other = told
        value = (os.environ.get(variable) if variable else None) or self._lookup(key)
        if value is MISSING:
            raise KeyError(key)
        return self[other] if value is None and other else value

    def __setitem__(self, key: str, value: Any) -> None:
        name = self._new_name(key)
        check(name, value)
        self._own[name] = value
        if not self._configured:
            self._written.append(key)

    def __delitem__(self, key: str) -> None:
        del self._own[self._new_name(key)]

    def __getattr__(self, name: str) -> Any:
        # what begins with "_" is asked by pickle and copy before there is anything to look in
        if not name.startswith("_"):
            try:
                return self[name]
            except KeyError:
                pass
        raise AttributeError(f"'Settings' object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"'Settings' object has no attribute {name!r}") from None

    def __contains__(self, key: object) -> bool:
        if not self._configured:
            self._read()
        return isinstance(key, str) and self._lookup(key) is not MISSING

    def _lookup(self, key: str, maps: int | None = None) -> Any:
        names = self._names.get(key) or self._names.setdefault(key, self._names_of(key))
        for each in self._maps if maps is None else self._maps[:maps]:
            for name in names:
                value = each.get(name, MISSING)
                if value is not MISSING:
                    return value
        return MISSING

    def _new_name(self, key: str) -> str:
        """The name under which a setting is kept here."""
        if key in known():
            return key
        plain = key.removeprefix(self._prefix).lower() if self._prefix else key
        return plain if plain in known() else new_names().get(key, key)

    def _names_of(self, key: str) -> tuple[str, ...]:
        """The names that a setting may have in what it is looked up in."""
        name = self._new_name(key)
        names = [name, known()[name].old] if name in known() else [key]
        if self._prefix and not key.startswith(self._prefix):
            full = self._prefix + name
            names.insert(0, full.upper() if self._prefix.isupper() else full.lower())
        elif name != key:
            names.insert(0, key)
        return tuple(names)

    @property
    def _prefix(self) -> str:
        return f"{self._namespace.rstrip('_')}_" if self._namespace else ""

    # ---------------------------------------------------------------- all of them

    def __iter__(self) -> Iterator[str]:
        """Celery's settings by their new names, then others; of an object with a namespace those that have it."""
        if not self._configured:
            self._read()
        yield from known()
        yield from self._others()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _others(self) -> list[str]:
        *upper, source, _ = self._maps
        written = [key for each in upper for key in each]
        if self._prefix:
            written += [key.removeprefix(self._prefix).lower() for key in source if key.startswith(self._prefix)]
        else:
            written += source
        return list(dict.fromkeys(key for key in written if self._new_name(key) not in known()))

    def _is_set(self, key: str) -> bool:
        """Whether somebody has set it, be it to its default."""
        if not self._configured:
            self._read()
        return self._lookup(key, -1) is not MISSING or bool(_from_environment(new_names().get(key, key)))

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As of a dict, once settings have been read; before that it sets, and reads nothing, as in Celery."""
        if not self._configured:
            if self._new_name(key) not in self._own:
                self[key] = default
            return self._own[self._new_name(key)]
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Take back what was set here."""
        return self._own.pop(self._new_name(key), *default)

    def clear(self) -> None:
        """Take back all that was set here."""
        self._own.clear()


def _from_environment(name: str) -> str | None:
    variable = _ENVIRONMENT.get(name)
    return os.environ.get(variable) if variable else None
