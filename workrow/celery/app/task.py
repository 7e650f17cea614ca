"""Tasks and their calls: what ``celery.app.task`` has."""

from workrow.celery.request import Context as Context
from workrow.celery.task import Task as Task

BaseTask = Task
