"""`app.conf`: names, defaults and what goes before what, as Celery 5.7 was seen to have them, and what differs."""

import json
import logging
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import workrow.celery.app
from workrow.celery.conf import Settings
from workrow.celery.conf.known import known, new_names, reason
from workrow.celery.exceptions import ContentDisallowed, ImproperlyConfigured, SerializerNotInstalled

SEEN = json.loads((Path(__file__).parent / "data" / "conf.json").read_text())


class Celery:
    """As much of an app as settings need."""

    def __init__(
        self,
        main: str,
        broker: str | None = None,
        backend: str | None = None,
        include: list[str] | None = None,
        changes: dict[str, Any] | None = None,
        config_source: Any = None,
        namespace: str | None = None,
        **options: Any,
    ) -> None:
        told = {"broker_url": broker, "result_backend": backend, "include": include}
        told = {name: value for name, value in told.items() if value is not None}
        self.conf = Settings({**(changes or {}), **told, **options}, namespace=namespace)
        self.config_from_object = self.conf.config_from_object
        self.config_from_envvar = self.conf.config_from_envvar
        self.config_from_cmdline = self.conf.config_from_cmdline
        self.add_defaults = self.conf.add_defaults
        if config_source is not None:
            self.config_from_object(config_source)

    @property
    def configured(self) -> bool:
        return self.conf.configured


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules to configure with, and an environment that says nothing."""
    for name, text in SEEN["modules"].items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(os.environ)
    for name in before:
        if name.startswith("CELERY_"):
            monkeypatch.delenv(name)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    for name in SEEN["modules"]:
        sys.modules.pop(name, None)


# -------------------------------------------------------------------- as Celery


@pytest.mark.parametrize("case", SEEN["cases"], ids=lambda case: case["setup"][:80])
def test_settings_are_what_they_are_in_celery(case: dict[str, Any]) -> None:
    scope: dict[str, Any] = {"Celery": Celery, "os": os, "sys": sys}
    told = []
    raised: Exception | None = None
    try:
        exec(case["setup"], scope)
        for asked, _ in case["seen"]:
            told.append([asked, repr(eval(asked, scope))])
        eval(case.get("asked_last") or "None", scope)
    except Exception as error:
        raised = error
    assert told == case["seen"]
    kind, text = case.get("raises", (None, None))
    assert kind == (type(raised).__name__ if raised else None)
    if kind not in (None, "KeyError") and not text.startswith("The environment variable"):
        assert str(raised) == text


def test_every_setting_of_celery_is_known_with_its_default_and_its_old_name() -> None:
    ours = {name: [repr(each.default), each.old] for name, each in known().items()}
    assert ours == SEEN["settings"]
    conf = Settings()
    for name, (default, old) in SEEN["settings"].items():
        if name not in ("task_default_exchange", "task_default_routing_key"):
            assert repr(conf[name]) == repr(conf[old]) == repr(getattr(conf, old)) == default


def test_every_setting_says_what_it_means_here() -> None:
    for each in known().values():
        assert each.meaning in ("used", "json only") or reason(each.meaning)
    assert len(new_names()) == len(known())


def test_what_is_used_is_read() -> None:
    door = Path(__file__).parents[2] / "workrow" / "celery"
    code = "\n".join(path.read_text() for path in door.rglob("*.py") if path.parent.name != "conf")
    read = {name for name in known() if re.search(rf'conf\.{name}\b|"{name}"', code)}
    assert {each.name for each in known().values() if each.meaning == "used"} - read == set()


# -------------------------------------------------------------------- other than Celery


def test_two_names_of_a_setting_never_differ() -> None:
    conf = Settings()
    conf.task_always_eager = False
    conf.CELERY_ALWAYS_EAGER = True
    assert conf.changes == {"task_always_eager": True}


def test_iteration_gives_new_names_and_own_ones() -> None:
    conf = Settings()
    conf.config_from_object("seen_old")
    assert list(conf) == [*known(), "OWN"]
    assert len(conf) == len(known()) + 1
    assert conf.without_defaults() == {
        "broker_url": "redis://:pw@h/1", "task_always_eager": True, "worker_concurrency": 7, "OWN": "x"
    }  # fmt: skip


def test_of_an_object_with_a_namespace_only_what_has_it_is_listed() -> None:
    conf = Settings()
    conf.config_from_object("seen_django", namespace="CELERY")
    assert conf.table() == {"broker_url": "redis://x", "task_always_eager": True, "own": 1}


def test_modules_and_private_names_of_a_module_are_no_settings() -> None:
    import seen_new

    seen_new.os = os
    conf = Settings()
    conf.config_from_object(seen_new)
    assert list(conf)[len(known()) :] == ["OWN", "own_low"]


def test_a_later_value_of_the_configured_object_is_seen() -> None:
    """As Django's override_settings makes."""
    import seen_django

    conf = Settings()
    conf.config_from_object(seen_django, namespace="CELERY")
    assert conf.task_always_eager is True
    seen_django.CELERY_TASK_ALWAYS_EAGER = False
    assert conf.task_always_eager is False
    del seen_django.CELERY_TASK_ALWAYS_EAGER
    assert conf.task_always_eager is False
    seen_django.CELERY_ALWAYS_EAGER = True
    assert conf.task_always_eager is True


def test_a_copy_is_its_own() -> None:
    conf = Settings({"own": 1})
    conf.config_from_object("seen_new")
    conf.add_defaults({"worker_pool": "threads"})
    copy = conf.copy()
    copy.own = 2
    assert (conf.own, copy.own, copy.worker_concurrency, copy.worker_pool) == (1, 2, 7, "threads")


def test_a_failed_reading_is_tried_again() -> None:
    conf = Settings({"own": 1})
    source: dict[str, Any] = {"task_always_eager": True, "CELERYD_CONCURRENCY": 3}
    conf.config_from_object(source)
    for _ in range(2):
        with pytest.raises(ImproperlyConfigured, match="CELERYD_CONCURRENCY"):
            _ = conf.own
    del source["CELERYD_CONCURRENCY"]
    assert (conf.own, conf.task_always_eager) == (1, True)


def test_setdefault_gives_what_is_set() -> None:
    """Celery's gives None, once settings have been read."""
    conf = Settings({"worker_pool": "threads"})
    assert conf.setdefault("CELERYD_POOL", "solo") == "threads"
    assert conf.setdefault("own", 1) == 1
    assert conf.worker_concurrency is None
    assert conf.setdefault("CELERYD_POOL", "solo") == "threads"
    assert conf.setdefault("own", 2) == 1


def test_repr_shows_what_was_set_without_secrets_and_reads_nothing() -> None:
    conf = Settings({"broker_url": "redis://:p@h", "own": 1})
    conf.config_from_object("seen_wrong")
    assert repr(conf) == "<Settings: broker_url='redis://:********@h', own=1>"


def test_asking_whether_there_is_a_setting_reads_them() -> None:
    conf = Settings()
    conf.config_from_object("seen_new")
    assert "own_low" in conf


def test_reading_is_told_once_for_each_configuration() -> None:
    told: list[Any] = []
    conf = Settings(on_read=lambda: told.append(conf.worker_concurrency))
    conf.config_from_object({"worker_concurrency": 1})
    assert told == []
    assert [conf.worker_pool, conf.worker_pool] == ["prefork", "prefork"]
    conf.config_from_object({"worker_concurrency": 2})
    assert told == [1, 2]


def test_a_module_is_found_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "here_only.py").write_text("worker_concurrency = 3\n")
    program = "import sys; sys.path.remove(''); from workrow.celery.conf import Settings; conf = Settings(); " + (
        "conf.config_from_object('here_only'); print(conf.worker_concurrency, sys.path.count(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", program, str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "3 0\n"


def test_importing_it_reads_nothing() -> None:
    program = "from workrow.celery.conf import known, Settings; print(known._table.cache_info().currsize)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"


@pytest.mark.parametrize("bad", [4, "seen_new", None])
def test_defaults_are_a_dict_or_a_function(bad: Any) -> None:
    with pytest.raises(TypeError, match=r"add_defaults\(.*\): it takes a dict, or a function"):
        Settings().add_defaults(bad)


# -------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("imports=a, b", "imports", ("a", "b")),
        ('imports=["a"]', "imports", ("a",)),
        ("imports=a", "imports", ("a",)),
        ("timezone=Europe/Berlin", "timezone", "Europe/Berlin"),
        ('task.routes={"*": "q"}', "task_routes", {"*": "q"}),
        ("task.routes=proj.routes", "task_routes", "proj.routes"),
        ('task.queues={"a": {}}', "task_queues", {"a": {}}),
        ("CELERYD_CONCURRENCY=3", "worker_concurrency", 3),
        ("worker.concurrency=3", "worker_concurrency", 3),
        ("accept_content=json", "accept_content", ("json",)),
        ("beat.cron_starting_deadline=4", "beat_cron_starting_deadline", 4),
        ("task.compression = zlib", "task_compression", "zlib"),
        ("security.key_password=x", "security_key_password", b"x"),
    ],
)
def test_the_command_line_sets_what_celery_fails_at_too(word: str, name: str, value: Any) -> None:
    conf = Settings()
    conf.config_from_cmdline([word])
    assert conf.changes == {name: value}


@pytest.mark.parametrize(
    ("word", "kind", "text"),
    [
        ("worker.nope=3", ImproperlyConfigured, "worker.nope: no such setting"),
        ("worker.concurency=3", ImproperlyConfigured, "worker.concurency: no such setting: did you mean worker_concur"),
        ("worker", ValueError, "'worker': a setting is NAME=VALUE"),
        ("worker.prefetch_multiplier=x", ValueError, "worker_prefetch_multiplier='x': invalid literal for int"),
        ("task.acks_late=maybe", ValueError, "task_acks_late='maybe': it is yes or no"),
        ("task.queues=a", ValueError, "task_queues='a': a dict is written as JSON"),
        ("task.queues=[1]", ValueError, "task_queues='[1]': a dict is written as JSON"),
        ("task.serializer=pickle", ContentDisallowed, "task_serializer='pickle': arguments and results are stored as"),
    ],
)
def test_a_word_of_the_command_line_that_says_nothing_is_told(word: str, kind: type[Exception], text: str) -> None:
    conf = Settings()
    with pytest.raises(kind) as told:
        conf.config_from_cmdline([word])
    assert str(told.value).startswith(text)
    assert conf.changes == {}


# -------------------------------------------------------------------- what a value means


@pytest.mark.parametrize("name", ["task_serializer", "result_serializer", "CELERY_TASK_SERIALIZER"])
@pytest.mark.parametrize(("value", "kind"), [("pickle", ContentDisallowed), ("nope", SerializerNotInstalled)])
def test_other_serializers_are_refused_when_they_are_set_or_read(name: str, value: str, kind: type[Exception]) -> None:
    conf = Settings()
    with pytest.raises(kind, match=f"serializer='{value}': .* use 'json', and register_type"):
        conf[name] = value
    conf.config_from_object({name: value})
    with pytest.raises(kind, match=f"serializer='{value}'"):
        _ = conf.broker_url


@pytest.mark.parametrize("name", ["accept_content", "result_accept_content"])
@pytest.mark.parametrize("value", [["json", "pickle"], "pickle", {"application/x-python-serialize"}])
def test_pickled_content_is_not_accepted(name: str, value: Any) -> None:
    with pytest.raises(ContentDisallowed, match=f"^{name}='.*': .* use 'json'"):
        Settings({name: value})


def test_what_means_nothing_here_is_told_with_the_reason() -> None:
    conf = Settings({
        "broker_heartbeat": 0,
        "task_track_started": True,
        "task_protocol": 2,
        "accept_content": ["json", "yaml"],
        "worker_pool": "gevent",
        "broker_url": ["postgresql://h/d", "redis://h"],
        "result_backend": "redis://:secret@h",
        "beat_scheduler": "django_celery_beat.schedulers:DatabaseScheduler",
        "own": 1,
    })  # fmt: skip
    assert conf.notices() == [
        ("accept_content", "only JSON is written and read"),
        ("beat_scheduler", reason("beat")),
        ("broker_url", reason("database")),
        ("broker_heartbeat", reason("broker")),
        ("result_backend", reason("results")),
        ("worker_pool", reason("pool")),
    ]


@pytest.mark.parametrize("value", [5, b"x", {"a": 1}, [{}], object()])
def test_a_value_that_is_none_of_a_kind_is_told_too(value: Any) -> None:
    names = ["accept_content", "broker_url", "result_backend", "worker_pool"]
    assert [name for name, _ in Settings(dict.fromkeys(names, value)).notices()] == names


def test_what_means_what_it_means_in_celery_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = Settings({"broker_url": "postgresql://h/d", "result_backend": "disabled", "worker_pool": "threads"})
    conf.update(task_serializer="json", accept_content=["application/json"], result_accept_content=None)
    assert conf.notices() == []
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://h")
    assert conf.notices() == [("broker_url", reason("database"))]


# -------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("broker_url", "redis://:p@h/1", "redis://:********@h/1"),
        ("broker_url", "redis://u:p@h:6379/1?ssl=x&password=p", "redis://u:********@h:6379/1?ssl=x&password=********"),
        ("broker_url", "sentinel://a:p@h;sentinel://b:p@h", "sentinel://a:********@h;sentinel://b:********@h"),
        ("broker_url", "postgresql://h:5432/d", "postgresql://h:5432/d"),
        ("result_backend", ["redis://:p@h", "redis://h"], ["redis://:********@h", "redis://h"]),
        ("database_url", "db+postgresql://u:p@h/d", "db+postgresql://u:********@h/d"),
        ("own", ("mysql://a:p@c",), ("mysql://a:********@c",)),
        ("redis_password", "p", "********"),
        ("redis_password", None, None),
        ("API_KEY", "p", "********"),
        ("apikey", "p", "********"),
        ("my_token", "p", "********"),
        ("SECRET", 5, "********"),
        ("passphrase", "p", "********"),
        ("s3_access_key_id", "p", "********"),
        ("security_key_password", b"p", "********"),
        ("mongodb_backend_settings", {"user": "u", "options": [{"password": "p"}]},
         {"user": "u", "options": [{"password": "********"}]}),
        ("task_default_routing_key", "r", "r"),
        ("cassandra_keyspace", "k", "k"),
        ("database_table_names", {"task": "t"}, {"task": "t"}),
    ],
)  # fmt: skip
def test_secrets_are_not_shown(name: str, value: Any, shown: Any) -> None:
    conf = Settings({name: value})
    assert conf.table() == {name: shown}
    assert conf.table(censored=False) == {name: value}
    assert conf.humanize() == f"{name}: {shown!r}"
    assert f"{name}: {shown!r}" in conf.humanize(with_defaults=True).splitlines()
    assert len(conf.table(with_defaults=True)) == len(conf)


# -------------------------------------------------------------------- the settings of an app


def test_an_app_reads_its_module_when_a_setting_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    app = workrow.celery.app.Celery("proj", broker="redis://h", set_as_current=False)
    app.config_from_object("seen_inside:C")

    @app.task(rate_limit=None, max_retries=1)
    def add() -> None: ...

    @app.task(ignore_result=False)
    def kept() -> None: ...

    assert "seen_inside" not in sys.modules
    app.conf.task_ignore_result = True
    app.conf.task_default_rate_limit = "1/s"
    assert "seen_inside" not in sys.modules
    assert (add.ignore_result, add.rate_limit, kept.ignore_result, add.acks_late) == (True, "1/s", False, False)
    assert "seen_inside" in sys.modules
    assert app.configured
    assert caplog.messages == [f"what was set and means nothing here: broker_url ({reason('database')})"]
    app.config_from_object({"broker_heartbeat": 1})
    assert caplog.messages[1:] == [f"what was set and means nothing here: broker_heartbeat ({reason('broker')})"]


def test_what_is_set_later_is_told_when_the_app_is_complete(caplog: pytest.LogCaptureFixture) -> None:
    app = workrow.celery.app.Celery("proj", set_as_current=False)
    assert app.conf.worker_pool == "prefork"
    app.conf.worker_pool = "gevent"
    app.finalize()
    assert caplog.messages == [f"what was set and means nothing here: worker_pool ({reason('pool')})"]


def messages_of_a_reading(connection: Connection) -> None:
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    app = workrow.celery.app.Celery("proj", set_as_current=False, broker_heartbeat=1)
    connection.send((app.conf.broker_heartbeat, records))


def test_a_child_process_does_not_repeat_what_its_parent_has_said() -> None:
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(target=messages_of_a_reading, args=(theirs,))
    child.start()
    theirs.close()
    assert ours.recv() == (1, [])
    child.join()
    ours.close()


def test_an_app_takes_settings_of_the_command_line_and_routes_by_them() -> None:
    app = workrow.celery.app.Celery("proj", set_as_current=False, namespace="CELERY", CELERY_TASK_DEFAULT_QUEUE="d")
    app.config_from_cmdline(['task.routes={"a.*": "q"}'])
    assert app.router.route({}, "a.b") == {"queue": "q"}
    assert app.router.route({}, "b") == {"queue": "d"}


@pytest.mark.parametrize(
    ("broker", "backend", "url"),
    [
        ("postgresql://h/d", "redis://h", "postgresql://h/d"),
        ("redis://h", "db+postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("redis://h", None, "postgresql://env/d"),
    ],
)
def test_the_database_of_an_app(broker: str, backend: str | None, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://env/d")
    app = workrow.celery.app.Celery("proj", broker=broker, backend=backend, set_as_current=False)
    assert app.database_url() == url
    assert ("result_backend", reason("results")) in app.conf.notices() if backend == "redis://h" else True


def test_the_page_says_of_every_setting_what_it_means() -> None:
    page = (Path(__file__).parents[2] / "docs" / "from-celery.md").read_text()
    by_meaning: dict[str, list[str]] = {}
    for each in known().values():
        by_meaning.setdefault(each.meaning, []).append(f"`{each.name}`")
    for meaning, names in by_meaning.items():
        line = next(line for line in page.splitlines() if line.startswith(f"| {', '.join(names)} |"))
        assert meaning in ("used", "json only") or line.endswith(f" | {reason(meaning)} |")
    assert f"has all {len(known())} settings" in page
