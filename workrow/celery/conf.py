"""The settings of an app."""

from datetime import timedelta
from typing import Any

DEFAULTS: dict[str, Any] = {
    "task_always_eager": False, "task_allow_error_cb_on_chord_header": False, "result_expires": timedelta(days=1),
    "task_default_queue": "celery", "task_serializer": "json", "imports": (), "include": (),
}  # fmt: skip


class Settings(dict[str, Any]):
    """By their lower-case names, as items and as attributes."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The setting, its default, or `default`."""
        return super().get(name, DEFAULTS.get(name, default))
