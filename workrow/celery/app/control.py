"""What is told to workers and asked of them: what ``celery.app.control`` has."""

from workrow.celery.control import Control as Control
from workrow.celery.inspecting import Inspect as Inspect
