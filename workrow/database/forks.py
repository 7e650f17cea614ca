"""What a process that was forked must not touch: the connections, threads and locks of its parent.

gunicorn's ``--preload``, uWSGI, ``multiprocessing`` and tasks fork a process that has enqueued already. Two processes
that write to one connection read each other's answers: handles carry the ids of other jobs, and jobs are lost.
"""

import logging
import os
import traceback
import weakref
from typing import Protocol

from workrow.logs import get_logger

logger = get_logger(__name__)

generation = 0
"""How many forks lie between this process and the one that was started. Who was made in another belongs to a parent."""


class Forgetful(Protocol):
    """Something that has to forget what it inherits."""

    def after_fork(self) -> None:
        """Forget connections without closing them, for the parent uses them; take new locks, for its may be held."""


_forgetful: weakref.WeakSet[Forgetful] = weakref.WeakSet()


def forget_in_children(one: Forgetful) -> None:
    """Call its ``after_fork()`` in each process that is forked from now on, for as long as it lives."""
    _forgetful.add(one)


def leave_worker(task: object, made_in: int, error: BaseException | None = None) -> None:
    """End this process if its task has forked and the child came back: the job's end is the parent's to write.

    Args:
        task: who forked.
        made_in: the generation that the worker was made in.
        error: with which the child came back; that of ``sys.exit`` says the exit code.
    """
    if made_in == generation:
        return
    code = error.code or 0 if isinstance(error, SystemExit) else int(error is not None)
    if error is not None and not isinstance(error, SystemExit):
        traceback.print_exception(error)
    logger.warning("%s: a fork of the worker came back from its task; it ends here: let it end with os._exit()", task)
    logging.shutdown()
    os._exit(code if isinstance(code, int) else 1)


def _in_child() -> None:
    global generation
    generation += 1
    for one in list(_forgetful):
        one.after_fork()


os.register_at_fork(after_in_child=_in_child)
