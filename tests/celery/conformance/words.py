"""Which side the experiments are made on: the door, or Celery itself with ``CONFORMANCE_SIDE=real``."""

import importlib
import os
from typing import Any

REAL = os.environ.get("CONFORMANCE_SIDE") == "real"
ROOT = "celery" if REAL else "workrow.celery"


def module(name: str = "") -> Any:
    """The module that Celery has under this name, of the side that is looked at."""
    return importlib.import_module(f"{ROOT}.{name}" if name else ROOT)
