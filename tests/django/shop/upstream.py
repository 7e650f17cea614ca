"""What was written for procrastinate's Django app."""

from typing import Any

from procrastinate.contrib.django import app

seen: list[str] = []


@app.task(name="greet")
def greet(name: str) -> str:
    """One of its tasks."""
    return f"hello {name}"


def note(given: Any) -> None:
    """``PROCRASTINATE_ON_APP_READY``."""
    seen.append(type(given).__module__)
