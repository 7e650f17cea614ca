"""The app, and which one is meant: what ``celery.app`` has."""

from typing import Any

from workrow.celery.app.base import Celery as Celery
from workrow.celery.current import current_app
from workrow.celery.proxy import Proxy
from workrow.celery.registry import shared_task as shared_task
from workrow.celery.report import bugreport as bugreport

default_app = Proxy(current_app)
"""The app that was made or set last."""


def app_or_default(app: Any = None) -> Any:
    """The app, or the one of the moment."""
    return current_app() if app is None else app
