"""Django: jobs on Django's own connection, migrations, admin, commands, and a backend for ``django.tasks``.

``INSTALLED_APPS += ["workrow.django"]``, then::

    from workrow.django import app

    @app.task(queue="mail")
    def send_welcome(user_id: int) -> None: ...

    with transaction.atomic():
        user = User.objects.create(...)
        send_welcome.delay(user.id)  # exists exactly if the block commits

See docs/django.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workrow.django.own_app import App

    app: App

__all__ = ["App", "app"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name == "App":
            return import_module("workrow.django.own_app").App
        if name == "app":
            return import_module("workrow.django.own_app").the_app()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
