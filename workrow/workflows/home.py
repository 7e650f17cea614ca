"""Whose a workflow is: the app that has all of its tasks."""

from collections.abc import Iterable
from typing import Any

from workrow.declare.found import found_as
from workrow.errors import WorkflowError, brief


def home_of(title: str, tasks: Iterable[Any]) -> Any:
    """The app that has all of these tasks; of tasks that are on none yet, one of them; None of none.

    Args:
        title: what the error calls the workflow.
        tasks: in their order.

    Raises:
        WorkflowError: no app has them all.
    """
    each_once = {id(task): task for task in tasks}.values()
    bound = [task for task in each_once if _is_bound(task)]
    apps = list({id(task.blueprint): task.blueprint for task in bound}.values())
    home = next((app for app in apps if all(has(app, task) for task in bound)), None)
    if home is None and apps:
        first = bound[0]
        other = next(task for task in bound if task.blueprint is not first.blueprint)
        raise WorkflowError(
            f"{title}: {first.name} is a task of {shown(first.blueprint)} and {other.name} of {shown(other.blueprint)}"
            ", and no app has both: declare them on one app, or on a blueprint that both include; or let a task of one "
            "enqueue those of the other"
        )
    return next((task for task in each_once if not _is_bound(task)), home)


def check_joined(title: str, app: Any, tasks: Iterable[Any]) -> None:
    """Raise WorkflowError for a task that is not of the app of a job whose workflow gets it.

    Args:
        title: what the error begins with.
        app: the job's.
        tasks: those of what is appended to its workflow, or takes its place.
    """
    for task in tasks:
        if _is_bound(task) and not has(app, task):
            raise WorkflowError(
                f"{title}: {task.name} is a task of {shown(task.blueprint)}, and the job is one of {shown(app)}, which "
                f"does not have it: declare it there, or on a blueprint that both include; or enqueue {task.name} apart"
            )


def has(app: Any, task: Any) -> bool:
    """Whether a task is one of this app's; a blueprint may be in several."""
    return task.blueprint is app or app.tasks.get(task.name) is task


def shown(app: Any) -> str:
    """What an error calls an app: ``module:attribute``."""
    return found_as(app) or brief(app)


def _is_bound(task: Any) -> bool:
    return hasattr(task.blueprint, "job_manager")
