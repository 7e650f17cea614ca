"""What to tell with a report of a fault."""

import platform
from importlib import metadata
from typing import Any

from workrow import __version__
from workrow.celery import current
from workrow.celery.conf.showing import censored
from workrow.celery.exceptions import ImproperlyConfigured


def bugreport(app: Any = None) -> str:
    """Versions, the platform, and the settings that were set, without secrets. Nothing is connected to.

    Args:
        app: None: the current one.
    """
    app = app or current.current_app()
    try:
        url = censored("url", app.database_url())
    except ImproperlyConfigured:
        url = "none is named"
    versions = {name: metadata.version(name) for name in ("procrastinate", "psycopg")}
    return f"""
software -> workrow:{__version__} py:{platform.python_version()}
            {" ".join(f"{name}:{version}" for name, version in versions.items())}
platform -> system:{platform.system()} arch:{", ".join(platform.architecture())}
            kernel version:{platform.release()} imp:{platform.python_implementation()}
database -> {url}
settings -> transport:postgresql results:postgresql

{app.conf.humanize()}
"""
