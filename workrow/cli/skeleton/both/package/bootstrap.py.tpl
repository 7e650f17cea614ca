"""The composition root: every domain's tasks on one app."""

import workrow

from $package import database
from $package.greetings.tasks import greetings
from $package.settings import database_url


def create_app() -> workrow.App:
    """The app. It opens nothing: its URL is asked for when it is opened."""
    app = workrow.App(database_url, sessions=database.session)
    app.include(greetings)
    return app
