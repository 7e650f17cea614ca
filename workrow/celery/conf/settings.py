"""`Settings`: what an app is told, under Celery's new and old names."""

import os
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from pprint import pformat
from threading import RLock
from typing import Any, NamedTuple

from workrow.celery.conf.known import Known, known, new_names
from workrow.celery.conf.lookup import Lookup
from workrow.celery.conf.meaning import JSON_ONLY, check, notice
from workrow.celery.conf.showing import censored as hide
from workrow.celery.conf.sources import check_names, from_words, read
from workrow.celery.exceptions import ImproperlyConfigured

_NO_NAMESPACE = {"accept_content", "result_accept_content", "enable_utc", "imports", "include", "timezone"}


class Found(NamedTuple):
    """What `Settings.find_option` has found."""

    namespace: str | None
    key: str
    type: Known


class Settings(Lookup):
    """Settings as attributes and as items, under new names and old ones; names that Celery does not know are kept.

    Looked up, first one first, in: what was set here; what was added as defaults; the configured object or module,
    which is imported when a setting is first read, and asked each time; Celery's defaults. Setting one reads nothing.

    ``CELERY_BROKER_URL``, ``CELERY_BROKER_READ_URL``, ``CELERY_BROKER_WRITE_URL`` and ``CELERY_RESULT_BACKEND`` of the
    environment go before all of these. The module that ``CELERY_CONFIG_MODULE`` names is read if nothing else is.

    Args:
        changes: set from the beginning.
        namespace: first word of the names in the configured object: with ``CELERY`` it is ``CELERY_TASK_ALWAYS_EAGER``.
        on_read: called when the configured object has been read.
    """

    def __init__(
        self,
        changes: Mapping[str, Any] | None = None,
        *,
        namespace: str | None = None,
        on_read: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(namespace)
        self._lock = RLock()
        self._configure_silently = False
        self._configured_with: Any = None
        self._on_read = on_read
        self._own_before: dict[str, Any] | None = None
        self._added: list[Any] = []
        self.update(changes or {})
        self._written.clear()

    # ---------------------------------------------------------------- where settings come from

    @property
    def configured(self) -> bool:
        """Whether the configured object has been read."""
        return self._configured

    def config_from_object(
        self, obj: Any, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> "Settings | None":
        """Read settings from an object, when the first is asked for; what was set after such a reading before goes.

        Args:
            obj: a module, class, object or dict, or the path of one: ``proj.settings``, ``proj.settings:Celery``.
            silent: a path that stands for nothing is no error.
            force: read it now.
            namespace: see the class; None: as before.

        Returns:
            This, if it was read now.

        Raises:
            ImportError: where it is read: it cannot be found.
            ImproperlyConfigured: where it is read: it has new and old names.
        """
        self._configured_with = obj
        self._configure_silently = silent
        self._namespace = namespace or self._namespace
        if not (force or self._configured):
            return None
        self._configured = False
        self._read()
        return self

    def config_from_envvar(
        self, variable_name: str, silent: bool = False, force: bool = False
    ) -> "Settings | bool | None":
        """`config_from_object` with the path that a variable of the environment holds.

        Returns:
            False: it is not set, and ``silent`` was said.

        Raises:
            ImproperlyConfigured: it is not set.
        """
        path = os.environ.get(variable_name)
        if path:
            return self.config_from_object(path, silent=silent, force=force)
        if silent:
            return False
        raise ImproperlyConfigured(
            f"The environment variable {variable_name!r} is not set: give it the path of a module with settings, "
            f'as in {variable_name}="proj.celeryconfig"'
        )

    def config_from_cmdline(self, argv: Iterable[str], namespace: str = "celery") -> None:
        """Set what a command line says; see `workrow.celery.conf.sources.from_words`."""
        self.update(from_words(argv, namespace))

    def add_defaults(self, defaults: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> None:
        """Settings that go before those of the configured object, as in Celery, and after what was set here.

        Args:
            defaults: or a function that makes them, called when the configured object is read. The last added go first.
        """
        if not callable(defaults) and not isinstance(defaults, Mapping):
            raise TypeError(f"add_defaults({defaults!r}): it takes a dict, or a function that returns one")
        self._added.insert(0, defaults)
        if self._configured:
            self._arrange()

    def _read(self) -> None:
        with self._lock:
            if self._configured:
                return
            source = self._configured_with or os.environ.get("CELERY_CONFIG_MODULE")
            found = read(source, self._configure_silently) if source else None
            if not self._namespace:
                check_names(self._written if found is None else list(found))
            if self._own_before is not None:
                self._own = dict(self._own_before)
            self._names.clear()
            self._maps = [found or {}, deepcopy({name: each.default for name, each in known().items()})]
            self._arrange()
            for name in JSON_ONLY:
                check(name, self._lookup(name))
            self._own_before = dict(self._own)
            self._configured = True
        if self._on_read is not None:
            self._on_read()

    def _arrange(self) -> None:
        self._added = [each() if callable(each) else each for each in self._added]
        self._maps = [self._own, *self._added, *self._maps[-2:]]

    # ---------------------------------------------------------------- all of them, for people

    def __repr__(self) -> str:
        return f"<Settings: {', '.join(f'{name}={hide(name, value)!r}' for name, value in self._own.items())}>"

    @property
    def changes(self) -> dict[str, Any]:
        """What was set here, by new names."""
        return self._own

    def without_defaults(self) -> dict[str, Any]:
        """What somebody has set, with secrets."""
        return {name: self[name] for name in self if self._is_set(name)}

    def table(self, with_defaults: bool = False, censored: bool = True) -> dict[str, Any]:
        """Settings by their names.

        Args:
            with_defaults: also those that nobody has set.
            censored: with ``********`` for passwords, keys and the like, also in URLs.
        """
        shown = dict(self) if with_defaults else self.without_defaults()
        return {name: hide(name, value) for name, value in shown.items()} if censored else shown

    def humanize(self, with_defaults: bool = False, censored: bool = True) -> str:
        """`table` as lines of text."""
        return "\n".join(
            f"{name}: {pformat(value, sort_dicts=False)}" for name, value in self.table(with_defaults, censored).items()
        )

    def notices(self) -> list[tuple[str, str]]:
        """Names of settings that somebody has set to what means nothing here, and why."""
        told = [(name, notice(name, self[name])) for name in known() if self._is_set(name)]
        return [(name, why) for name, why in told if why is not None]

    def copy(self) -> "Settings":
        """Settings from the same places; what is set in one is not set in the other."""
        made = Settings(self._own, namespace=self._namespace)
        made._configured_with, made._configure_silently = self._configured_with, self._configure_silently
        made._added = list(self._added)
        return made

    # ---------------------------------------------------------------- Celery's other ways to ask

    def find_option(self, name: str, namespace: str = "celery") -> Found:
        """The setting of a name, or of a part of one: ``concurrency`` is ``worker_concurrency``.

        Raises:
            KeyError: there is none.
        """
        full = new_names().get(name, name)
        if full in known():
            return Found(None, full, known()[full])
        spaces = dict.fromkeys(each.split("_")[0] for each in known() if each not in _NO_NAMESPACE)
        for space in (namespace, *spaces):
            if f"{space}_{name}" in known():
                return Found(space, name, known()[f"{space}_{name}"])
        raise KeyError(name)

    def find_value_for_key(self, name: str, namespace: str = "celery") -> Any:
        """The value of what `find_option` finds."""
        return self[self.find_option(name, namespace).type.name]

    def get_by_parts(self, *parts: str) -> Any:
        """``get_by_parts("task", "always", "eager")`` is ``task_always_eager``."""
        return self["_".join(parts)]

    def value_set_for(self, key: str) -> bool:
        """Whether somebody has set it, be it to its default."""
        return self._is_set(key)

    def first(self, *keys: str) -> Any:
        """The first value that is not None; None: there is none."""
        return next((value for value in map(self.get, keys) if value is not None), None)
