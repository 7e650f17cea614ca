"""What ``celery.app.log`` has for users."""

from workrow.celery.utils.log import TaskFormatter as TaskFormatter
