"""Of the Django project that tests use. The database is that of ``DATABASE_URL``; ``SETTINGS`` has others as JSON."""

import json
import os
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


def parameters(url: str) -> dict[str, Any]:
    """Of a database, in Django's words."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": query.pop("port", parts.port or ""),
        "OPTIONS": query,
    }


SECRET_KEY = "of tests"
USE_TZ = True
ROOT_URLCONF = "tests.django.urls"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "workrow.django",
    "tests.django.shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES: dict[str, Any] = {
    "default": {"ENGINE": "django.db.backends.postgresql", **parameters(os.environ["DATABASE_URL"])},
    "file": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}
TASKS = {"default": {"BACKEND": "workrow.django.tasks.WorkrowBackend", "QUEUES": []}}

globals().update(json.loads(os.environ.get("SETTINGS", "{}")))
