"""The one place where the shop says whose Celery it runs on."""

import os

ON_CELERY = os.environ.get("SHOP_ON") == "celery"

if ON_CELERY:
    from celery import Celery, Task, chain, chord, exceptions, group, schedules, shared_task, signals, signature, states
    from celery.result import AsyncResult, EagerResult, GroupResult
    from celery.utils.log import get_task_logger
else:
    from workrow.celery import (
        Celery,
        Task,
        chain,
        chord,
        exceptions,
        group,
        schedules,
        shared_task,
        signals,
        signature,
        states,
    )
    from workrow.celery.result import AsyncResult, EagerResult, GroupResult
    from workrow.celery.utils.log import get_task_logger

__all__ = [
    "ON_CELERY",
    "AsyncResult",
    "Celery",
    "EagerResult",
    "GroupResult",
    "Task",
    "chain",
    "chord",
    "exceptions",
    "get_task_logger",
    "group",
    "schedules",
    "shared_task",
    "signals",
    "signature",
    "states",
]
