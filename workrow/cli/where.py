"""Which database is meant."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import procrastinate
from procrastinate.exceptions import LoadFromPathError

from workrow.app import App
from workrow.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Database:
    """What the command line says of the database.

    Attributes:
        app: ``module.name`` of an App.
        given_url: its URL, which wins.
    """

    app: str | None
    given_url: str | None

    @property
    def url(self) -> str:
        """Its URL.

        Raises:
            ConfigurationError: the app cannot be loaded or has no URL, or neither was given.
        """
        if self.given_url:
            return self.given_url
        if self.app:
            return self.load().database_url
        if url := os.environ.get("DATABASE_URL"):
            return url
        raise ConfigurationError(
            "no database is named: give --app=module.app or --database-url=postgresql://…, "
            "or set WORKROW_APP or DATABASE_URL"
        )

    def load(self) -> App:
        """The app itself: the one that was named, or ``app`` in the ``app.py`` of this directory.

        Raises:
            ConfigurationError: none was given, and there is no app.py; or it cannot be loaded.
        """
        if not self.app and not Path("app.py").exists():
            raise ConfigurationError(
                "no app is named: give --app=module.app, set WORKROW_APP, or go to a directory whose app.py has an app"
            )
        return _load(self.app or "app.app")


def _load(path: str) -> App:
    sys.path.insert(0, os.getcwd())
    try:
        app = procrastinate.App.from_path(path)
    except LoadFromPathError as error:
        raise ConfigurationError(
            f"--app={path} cannot be loaded ({error}): give the dotted path of a workrow.App, "
            "and run the command where its module can be imported"
        ) from error
    if not isinstance(app, App):
        raise ConfigurationError(
            f"--app={path} is a procrastinate.App, which does not tell its database: give --database-url=postgresql://…"
        )
    return app
