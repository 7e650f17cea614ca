"""Logs are set up as Celery 5.7.0 was seen to set them up."""

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.celery.memory import App
from workrow.celery import signals
from workrow.celery.conf import Settings
from workrow.celery.utils.log import LoggingProxy, TaskFormatter, get_logger, get_task_logger, mlevel, setup

OURS = ("celery", "celery.task", "celery.redirected")


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Each test begins without any logging."""
    known = [logging.root, *map(logging.getLogger, OURS)]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in known]
    streams = sys.stdout, sys.stderr
    for each in known:
        each.handlers.clear()
    yield
    sys.stdout, sys.stderr = streams
    for each, handlers, level, propagate in before:
        each.handlers[:], each.propagate = handlers, propagate
        each.setLevel(level)


def handlers(name: str | None = None) -> list[logging.Handler]:
    """But those of pytest, and those that do nothing."""
    of_others = ("NullHandler", "LogCaptureHandler", "_LiveLoggingNullHandler")
    return [each for each in logging.getLogger(name).handlers if type(each).__name__ not in of_others]


def settings(**changes: Any) -> Settings:
    conf = Settings()
    for name, value in {"worker_redirect_stdouts": False, **changes}.items():
        setattr(conf, name, value)
    return conf


def run(function: Any) -> None:
    app = App()
    app.task(name="it")(function)
    app.tasks["it"].apply_async(task_id="ID")
    app.work()


class TestLoggers:
    def test_names_and_parents(self) -> None:
        assert get_task_logger("logs.a").parent is logging.getLogger("celery.task")
        assert get_task_logger("logs.a.b").parent is logging.getLogger("logs.a")
        assert get_task_logger("logs.a") is logging.getLogger("logs.a")
        assert get_logger("logs_alone").parent is logging.root
        logging.getLogger("logs_c")
        assert get_logger("logs_c.d").parent is logging.getLogger("celery")
        for name in ("celery", "celery.task"):
            with pytest.raises(RuntimeError, match=f"the name '{name}' is reserved"):
                get_task_logger(name)

    def test_nothing_is_printed_where_no_logging_is_set_up(self, capsys: pytest.CaptureFixture[str]) -> None:
        get_task_logger("logs.silent").warning("hello")
        assert capsys.readouterr() == ("", "")

    def test_records_know_their_task_whatever_handles_them(self) -> None:
        records: list[logging.LogRecord] = []

        class Keeps(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                records.append(record)

        logger = get_task_logger("logs.known")
        logger.addHandler(keeps := Keeps())
        run(lambda: logger.warning("inside"))
        logger.warning("outside")
        logger.removeHandler(keeps)
        assert [(vars(each)["task_id"], vars(each)["task_name"]) for each in records] == [("ID", "it"), ("???", "???")]

    def test_the_formatter_knows_it_for_others(self) -> None:
        formatted: list[str] = []
        record = logging.LogRecord("a", 20, "p", 1, "hello", (), None)
        run(lambda: formatted.append(TaskFormatter("%(task_id)s %(task_name)s %(message)s").format(record)))
        assert formatted == ["ID it hello"]


class TestSetup:
    def test_formats_and_levels(self) -> None:
        out = io.StringIO()
        setup(settings(), "info", out)
        logger = get_task_logger("logs.tasks")
        run(lambda: (logger.info("hello %s", 1), logger.debug("no"), logging.getLogger("logs_plain").info("plain")))
        logger.warning("outside")
        lines = [line.partition(": ")[2] for line in out.getvalue().splitlines()]
        assert lines == [
            "INFO/MainProcess] it[ID]: hello 1",
            "INFO/MainProcess] plain",
            "WARNING/MainProcess] ???[???]: outside",
        ]
        assert (logging.root.level, logging.getLogger("celery.task").level) == (logging.INFO, logging.INFO)

    def test_own_formats_into_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "log"
        conf = settings(worker_log_format="ROOT %(message)s", worker_task_log_format="TASK %(task_name)s %(message)s")
        setup(conf, logfile=str(file))
        logging.getLogger("logs_plain").warning("ä")
        get_task_logger("logs.file").warning("b")
        logging.getLogger("logs_plain").info("no")
        for handler in (*handlers(), *handlers("celery.task")):
            handler.close()
        assert file.read_text(encoding="utf-8") == "ROOT ä\nTASK ??? b\n"

    def test_signals(self) -> None:
        heard: list[Any] = []

        def hear(signal: Any, sender: Any, **named: Any) -> None:
            heard.append((signal.name, sender, named))

        signals.after_setup_logger.connect(hear)
        signals.after_setup_task_logger.connect(hear)
        conf, out = settings(), io.StringIO()
        setup(conf, "ERROR", out)
        told = {"loglevel": logging.ERROR, "logfile": out, "colorize": False}
        assert heard == [
            ("after_setup_logger", None, {**told, "logger": logging.root, "format": conf.worker_log_format}),
            (
                "after_setup_task_logger",
                None,
                {**told, "logger": logging.getLogger("celery.task"), "format": conf.worker_task_log_format},
            ),
        ]

    def test_who_listens_to_setup_logging_does_it(self) -> None:
        heard: list[Any] = []

        def mine(**named: Any) -> None:
            heard.append((named["loglevel"], named["logfile"], named["colorize"], named["format"]))

        signals.setup_logging.connect(mine)
        stdout = sys.stdout
        conf = settings(worker_redirect_stdouts=True)
        setup(conf, "INFO")
        signals.setup_logging.disconnect(mine)
        assert heard == [(logging.INFO, None, False, conf.worker_log_format)]
        assert (handlers(), handlers("celery.task"), sys.stdout is stdout) == ([], [], True)

    def test_what_it_raises_is_raised(self) -> None:
        def bad(**named: Any) -> None:
            raise KeyError("bad")

        signals.setup_logging.connect(bad)
        try:
            with pytest.raises(KeyError, match="bad"):
                setup(settings())
        finally:
            signals.setup_logging.disconnect(bad)

    @pytest.mark.parametrize("hijack", [True, False])
    def test_handlers_that_are_there(self, hijack: bool) -> None:
        own = {name: logging.StreamHandler(io.StringIO()) for name in (None, "celery.task")}
        for name, handler in own.items():
            logging.getLogger(name).addHandler(handler)
        setup(settings(worker_hijack_root_logger=hijack), "DEBUG", io.StringIO())
        for name, handler in own.items():
            assert (handlers(name) == [handler]) is not hijack
            assert len(handlers(name)) == 1
        assert logging.root.level == logging.DEBUG

    def test_a_second_setup_adds_nothing(self) -> None:
        for _ in range(2):
            setup(settings(), "INFO", io.StringIO())
        assert (len(handlers()), len(handlers("celery.task"))) == (1, 1)

    def test_what_is_printed_is_logged(self) -> None:
        out = io.StringIO()
        setup(settings(worker_redirect_stdouts=True, worker_redirect_stdouts_level="ERROR"), "INFO", out)
        print("printed")  # noqa: T201
        sys.stderr.write("two\nlines\n")
        assert [line.partition(": ")[2] for line in out.getvalue().splitlines()] == [
            "ERROR/MainProcess] printed",
            "ERROR/MainProcess] two",
            "",
        ]

    def test_levels(self) -> None:
        assert [mlevel(each) for each in (None, 10, "INFO", "info")] == [None, 10, 20, 20]
        with pytest.raises(ValueError, match="loglevel='loud': must be one of DEBUG, INFO"):
            setup(settings(), "loud")


class TestProxy:
    @pytest.fixture
    def records(self) -> list[str]:
        return []

    @pytest.fixture
    def proxy(self, records: list[str]) -> LoggingProxy:
        class Keeps(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                records.append(record.getMessage())
                proxy.write("from a handler")

        logger = logging.Logger("alone", 1)
        logger.addHandler(Keeps())
        proxy = LoggingProxy(logger, "INFO")
        return proxy

    def test_a_record_for_each_text(self, proxy: LoggingProxy, records: list[str]) -> None:
        given = ("a\n", "\n", "", " ", "a\nb\n", "  x  ", "a %s", "x\n\n", "\ta", 5, None, b"by")
        assert [proxy.write(each) for each in given] == [1, 0, 0, 1, 3, 5, 4, 1, 2, 1, 0, 2]
        proxy.writelines(["l1\n", "l2"])
        assert records == ["a", " ", "a\nb", "  x  ", "a %s", "x", "\ta", "5", "by", "l1", "l2"]

    def test_as_a_file(self, proxy: LoggingProxy, records: list[str]) -> None:
        assert (proxy.mode, proxy.name, proxy.isatty(), proxy.closed) == ("w", None, False, False)
        proxy.flush()
        proxy.close()
        assert (proxy.closed, proxy.write("after"), records) == (True, 0, [])
