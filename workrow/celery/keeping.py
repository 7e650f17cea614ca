"""What is kept of the end of a call: its result, unless that is ignored."""

from traceback import format_exception
from typing import Any

from workrow.celery.request import Context, ignores_result


def keep(app: Any, request: Context, value: Any, state: str, error: BaseException | None = None) -> None:
    """Keep what a call has come to, and the error that it is because of."""
    if not request._kept or _ignored(app, request, error):
        return
    children = [child.as_tuple() for child in request.children or ()]
    traceback = "".join(format_exception(error)) if error is not None and error.__traceback__ else None
    app.backend.store(request.id, state, value, children=children, traceback=traceback, request=request)


def _ignored(app: Any, request: Context, error: BaseException | None) -> bool:
    task = app.tasks.get(request.task)
    if not ignores_result(task, request):
        return False
    if error is None:
        return True
    return not (app.conf.task_store_errors_even_if_ignored if task is None else task.store_errors_even_if_ignored)


def members(part: Any) -> list[Any]:
    """Whose results those of a part are: of a group its members, of a chord its body, of a chain its last part."""
    tasks = part["kwargs"].get("tasks")
    match part.get("subtask_type"):
        case "group":
            return [each for member in tasks for each in members(member)]
        case "chord" if part["kwargs"]["body"]:
            return members(part["kwargs"]["body"])
        case "chain" if tasks:
            return members(tasks[-1])
    return [part]


def never_run(part: Any) -> Context:
    """The request of what never runs."""
    options = part["options"]
    return Context(part, options, id=options.get("task_id"), group=options.get("group_id"))
