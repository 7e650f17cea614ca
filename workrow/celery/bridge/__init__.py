"""The bridge from a running Celery: calls go to either side by a dial, runs are compared, what waits is moved over.

``install`` is the one line in a team's app; the rest are commands, ``python -m workrow.celery bridge`` and ``drain``.
docs/bridge.md tells the steps. Nothing here imports Celery before ``install`` is called with an app of it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from workrow.celery.bridge.parity import Parity, parity
from workrow.celery.bridge.rollback import roll_back_with

__all__ = ["Parity", "install", "parity"]


def install(
    celery_app: Any,
    database_url: str | None = None,
    *,
    sticky: Mapping[str, Callable[..., Any]] | None = None,
    roll_back: Iterable[Any] | None = None,
) -> None:
    """Let the dials in the database say which calls of a Celery app come here; what they do not name goes as ever.

    The line may stand in the module of the app, which Celery's workers import too: calls that tasks make stay on their
    side. Where that module is run by workrow's own worker (``--as-celery``), the app is the door's, and there is
    nothing to divide: then only `roll_back` is heeded.

    Args:
        celery_app: a ``celery.Celery``, or the door's.
        database_url: of the database; None: ``$WORKROW_DATABASE_URL`` or ``$DATABASE_URL``, when the first call comes.
        sticky: by the name of a task, a function of the arguments of its call, ``(*args, **kwargs)``: calls for which
            it returns the same go to the same side. For one argument ``dial --by ARG`` does.
        roll_back: what the writes of shadow runs go through, see `roll_back_with`; ``()`` says that tasks write
            nothing, and None that nobody has said it: then only Django's connections are rolled back.

    Raises:
        TypeError: it is no app of Celery's.
    """
    from workrow.celery.app import Celery

    if isinstance(celery_app, Celery):
        roll_back_with(celery_app, roll_back)
        return
    from workrow.celery.bridge.producing import Bridge

    Bridge.of(celery_app, database_url, dict(sticky or {}))
