"""Logs of tasks and workers: what ``celery.utils.log`` has, without colours."""

import logging
import sys
import threading
from logging.handlers import WatchedFileHandler
from typing import Any, TextIO

from workrow.celery import signals
from workrow.celery.current import current_worker_task

UNKNOWN = "???"
base_logger = logging.getLogger("celery")
task_logger = logging.getLogger("celery.task")
redirected_logger = logging.getLogger("celery.redirected")
RESERVED = (base_logger.name, task_logger.name)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL")


class TaskFields(logging.Filter):
    """Gives records the id and the name of the task that they were made in: ``task_id``, ``task_name``; or ``???``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all pass."""
        fields = vars(record)
        task = current_worker_task()
        if task is not None:
            fields.setdefault("task_id", task.request.id)
            fields.setdefault("task_name", task.name)
        fields.setdefault("task_id", UNKNOWN)
        fields.setdefault("task_name", UNKNOWN)
        return True


_FIELDS = TaskFields()


class TaskFormatter(logging.Formatter):
    """A formatter whose format may have ``%(task_id)s`` and ``%(task_name)s``, for records of any logger."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        _FIELDS.filter(record)
        return super().format(record)


def get_logger(name: str) -> logging.Logger:
    """A logger that stays silent where no logging is set up; below another one, its parent is ``celery``."""
    logger = _silent(name)
    if logging.root not in (logger, logger.parent) and logger is not base_logger:
        _put_below(base_logger, logger)
    return logger


def get_task_logger(name: str) -> logging.Logger:
    """A logger for tasks: its records know their task, and go to ``celery.task``.

    Raises:
        RuntimeError: the name is ``celery`` or ``celery.task``.
    """
    if name in RESERVED:
        raise RuntimeError(f"the name {name!r} is reserved: take another one, such as __name__")
    logger = _silent(name)
    _put_below(task_logger, logger)
    logger.addFilter(_FIELDS)
    return logger


def _silent(name: str) -> logging.Logger:
    logger = logging.getLogger(name)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


def _put_below(parent: logging.Logger, logger: logging.Logger) -> None:
    above: logging.Logger | None = logger
    while above is not None:
        if above is parent:
            return
        above = above.parent
    logger.parent = parent


def mlevel(level: int | str | None) -> Any:
    """The number of a level. Raises ValueError: there is none of this name."""
    if not level or isinstance(level, int):
        return level
    if level.upper() not in LEVELS:
        raise ValueError(f"loglevel={level!r}: must be one of {', '.join(LEVELS)}")
    return getattr(logging, level.upper())


class LoggingProxy:
    """A file whose text goes to a logger, a record for each text that is written.

    Args:
        logger: where to.
        loglevel: of the records; None: that of the logger.
    """

    mode = "w"
    name = None
    closed = False

    def __init__(self, logger: logging.Logger, loglevel: int | str | None = None) -> None:
        self.logger = logger
        self.loglevel = mlevel(loglevel or logger.level)
        self._inside = threading.local()

    def write(self, data: Any) -> int:
        """Log it without the line ends after it, if anything is left; returns its length.

        What a handler of that record writes here is lost: it would never end.
        """
        if not data or self.closed or getattr(self._inside, "is_it", False):
            return 0
        text = (data.decode(errors="replace") if isinstance(data, bytes) else str(data)).rstrip("\n")
        if not text:
            return 0
        self._inside.is_it = True
        try:
            self.logger.log(self.loglevel, "%s", text)
        finally:
            self._inside.is_it = False
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Log nothing any more."""
        self.closed = True

    def isatty(self) -> bool:
        return False


def setup(
    conf: Any, loglevel: int | str | None = None, logfile: str | TextIO | None = None, redirect: bool | None = None
) -> None:
    """What a worker does with logs.

    Who listens to the signal ``setup_logging`` does it instead, and nothing else is done. With
    ``worker_hijack_root_logger`` the handlers of the root logger and of Celery's go first; otherwise who has one keeps
    it. The root logger writes ``worker_log_format``, ``celery.task`` ``worker_task_log_format``; then come the signals
    ``after_setup_logger`` and ``after_setup_task_logger``, and what is printed becomes records of
    ``celery.redirected``.

    Args:
        conf: the settings of the app.
        loglevel: a name or a number; None: WARNING.
        logfile: a path, or a file; None: standard error.
        redirect: whether what is printed is logged; None: as ``worker_redirect_stdouts`` says.

    Raises:
        ValueError: there is no such level.
        OSError: the file cannot be opened.
        Exception: what the receiver of ``setup_logging`` raised.
    """
    level = mlevel(loglevel or logging.WARNING)
    told = {"loglevel": level, "logfile": logfile, "colorize": False}
    responses = signals.setup_logging.send(None, format=conf.worker_log_format, **told)
    for _, response in responses:
        if isinstance(response, Exception):
            raise response
    if responses:
        return
    if conf.worker_hijack_root_logger:
        for logger in (logging.root, base_logger, task_logger, redirected_logger):
            logger.handlers.clear()
    root_format = logging.Formatter(conf.worker_log_format, conf.worker_log_datefmt)
    task_format = TaskFormatter(conf.worker_task_log_format, conf.worker_task_log_datefmt)
    _write(logging.root, level, logfile, root_format)
    _write(task_logger, level, logfile, task_format)
    task_logger.propagate = False
    signals.after_setup_logger.send(None, logger=logging.root, format=conf.worker_log_format, **told)
    signals.after_setup_task_logger.send(None, logger=task_logger, format=conf.worker_task_log_format, **told)
    if conf.worker_redirect_stdouts if redirect is None else redirect:
        proxy: Any = LoggingProxy(redirected_logger, conf.worker_redirect_stdouts_level)
        sys.stdout = sys.stderr = proxy


def _write(logger: logging.Logger, level: int, logfile: Any, formatter: logging.Formatter) -> None:
    logger.setLevel(level)
    if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        return
    handler: logging.Handler
    if isinstance(logfile, str):
        handler = WatchedFileHandler(logfile, encoding="utf-8")
    else:
        handler = logging.StreamHandler(logfile or sys.__stderr__)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
