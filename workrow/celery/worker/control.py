"""Commands that workers know: `control_command` and `inspect_command` declare more of them."""

from workrow.celery.worker import asked, told
from workrow.celery.worker.panel import Info, Panel, control_command, inspect_command, nok, ok

__all__ = ["Info", "Panel", "asked", "control_command", "inspect_command", "nok", "ok", "told"]
