"""What log records tell of the job that they were made in."""

import logging
import re
import traceback
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

from procrastinate.jobs import Job

FIELDS = ("job_id", "task", "queue", "attempt", "worker")

running: ContextVar[Mapping[str, Any] | None] = ContextVar("workrow_job", default=None)
"""The fields of the job that runs here; set where a `JobFilter` has been made before the worker ran its task."""


def job_fields(job: Job, worker: str | None) -> dict[str, Any]:
    """What a record tells of its job."""
    return {
        "job_id": job.id,
        "task": job.task_name,
        "queue": job.queue,
        "attempt": job.attempts + 1,
        "worker": worker,
    }


TRACEBACK = "workrow_traceback"
"""What a call gives in ``extra`` for a traceback that is a text already."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Line ends, what a terminal obeys, what turns the direction of a text, and what no encoding has."""


def printable(text: str) -> str:
    """The text in one line, with an escape for each character that would be more than text to who reads it."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def indented(text: str) -> str:
    """A text of many lines, none of which begins where a record does; see `printable`."""
    return "\n".join(f"  {printable(line)}" for line in text.rstrip("\n").split("\n"))


class OneLine(logging.Filter):
    """Keeps the message of a record in one line, and what follows it from looking like another record.

    An error's message, or an argument, may be written by whoever wants a line of the log to say something else.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all pass."""
        try:
            text = record.getMessage()
            if (safe := printable(text)) != text:
                record.msg, record.args = safe, None
            told = record.__dict__.pop(TRACEBACK, None)
            if told is None and record.exc_info and not record.exc_text:
                told = "".join(traceback.format_exception(*record.exc_info))
            if told is not None:
                record.exc_text = indented(told)
        except Exception:
            pass
        return True


_ONE_LINE = OneLine()


def get_logger(name: str) -> logging.Logger:
    """A logger whose records are one line each, and a traceback."""
    logger = logging.getLogger(name)
    logger.addFilter(_ONE_LINE)
    return logger


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the job's fields to every record; what a call gives in ``extra`` is kept."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """See logging."""
        given: Mapping[str, Any] | None = kwargs.get("extra")
        return msg, {**kwargs, "extra": {**(given or {}), **(self.extra or {})}}


class JobFilter(logging.Filter):
    """Gives every record, also of libraries, the fields of the job that it was made in; None outside of jobs.

    For a handler: ``handler.addFilter(JobFilter())``, or in ``dictConfig``: ``{"()": "workrow.logs.JobFilter"}``.
    Make it before the worker starts; who makes none pays nothing.
    """

    made = False

    def __init__(self) -> None:
        super().__init__()
        JobFilter.made = True

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all pass."""
        fields = running.get() or {}
        for name in FIELDS:
            if not hasattr(record, name):
                setattr(record, name, fields.get(name))
        return True
