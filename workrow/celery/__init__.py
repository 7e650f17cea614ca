"""The Celery door: what a task module written for Celery imports.

Calls are jobs of workrow's, and results are rows: what follows from the end of a task (the next part of a chain, the
body of a chord, links, errbacks, its result) is written in the transaction that ends its job. All of it does what
Celery 5.7 was seen to do: ``tests/celery`` runs the tables of that.
"""

from workrow.celery.app import Celery
from workrow.celery.canvas import Signature, chain, chord, chunks, group, maybe_signature, signature, xmap, xstarmap
from workrow.celery.current import current_app as _current_app
from workrow.celery.current import current_worker_task as _current_task
from workrow.celery.proxy import Proxy
from workrow.celery.registry import shared_task
from workrow.celery.report import bugreport
from workrow.celery.store import using
from workrow.celery.task import Task
from workrow.celery.utils import uuid

current_app = Proxy(_current_app)
"""The app whose task runs; otherwise the one that was made or set last."""
current_task = Proxy(_current_task)
"""The task that runs."""
subtask = signature
VERSION = version_info = (5, 7, 0)
"""Of the Celery that this does as: what code that asks for a version is to know. `workrow.__version__` is ours."""
__version__ = ".".join(map(str, VERSION))

__all__ = [
    "VERSION",
    "Celery",
    "Signature",
    "Task",
    "__version__",
    "bugreport",
    "chain",
    "chord",
    "chunks",
    "current_app",
    "current_task",
    "group",
    "maybe_signature",
    "shared_task",
    "signature",
    "subtask",
    "using",
    "uuid",
    "version_info",
    "xmap",
    "xstarmap",
]
