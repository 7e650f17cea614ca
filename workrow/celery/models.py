"""Tasks with ``pydantic=True``: arguments and results are models where they are annotated with one."""

import inspect
from collections.abc import Mapping
from functools import wraps
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from workrow.celery.exceptions import ImproperlyConfigured


class Models:
    """The models of a task.

    Args:
        task: the task.
        strict: values are not converted.
        context: for the models' validators, which get ``celery_app`` and ``celery_task_name`` besides.
        dump_kwargs: of ``model_dump``; its mode is ``"json"`` unless they say otherwise.

    Raises:
        ImproperlyConfigured: pydantic is not installed.
    """

    def __init__(
        self, task: Any, strict: bool | None = None, context: Any = None, dump_kwargs: dict[str, Any] | None = None
    ) -> None:
        try:
            from pydantic import BaseModel
        except ModuleNotFoundError as error:
            raise ImproperlyConfigured(f"{task.name}: pydantic=True needs pydantic: pip install pydantic") from error
        self._model: Any = BaseModel
        self._task = task
        self._options = {"strict": strict}
        self._context = context or {}
        self._dump = {"mode": "json", **(dump_kwargs or {})}
        self._signature = inspect.signature(task.run)
        try:
            self._hints = get_type_hints(task.run)
        except (NameError, AttributeError, TypeError):  # what they name is not there yet, or never
            self._hints = {}

    def around(self, run: Any) -> Any:
        """A function that makes models for this one, and a dict of its result."""
        returned = self._hints.get("return", self._signature.return_annotation)
        returned = _of_optional(returned) or returned

        def bound(args: Any, kwargs: Any) -> inspect.BoundArguments:
            found = self._signature.bind(*args, **kwargs)
            for name, value in found.arguments.items():
                if (model := self._of(name, value)) is not None:
                    found.arguments[name] = self._made(model, value)
            return found

        def dumped(value: Any) -> Any:
            fits = isinstance(value, self._model) and isinstance(returned, type) and isinstance(value, returned)
            return value.model_dump(**self._dump) if fits else value

        @wraps(run)
        def validating(*args: Any, **kwargs: Any) -> Any:
            given = bound(args, kwargs)
            return dumped(run(*given.args, **given.kwargs))

        @wraps(run)
        async def validating_async(*args: Any, **kwargs: Any) -> Any:
            given = bound(args, kwargs)
            return dumped(await run(*given.args, **given.kwargs))

        return validating_async if inspect.iscoroutinefunction(run) else validating

    def dumped(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments of a call, with dicts in place of models from which the task gets equal ones."""
        if not isinstance(args or (), list | tuple) or not isinstance(kwargs or {}, Mapping):
            return args, kwargs
        if not any(isinstance(each, self._model) for each in (*(args or ()), *(kwargs or {}).values())):
            return args, kwargs
        try:
            self._signature.bind(*args or (), **kwargs or {})
        except TypeError:  # so does the task
            return args, kwargs
        parameters = self._signature.parameters.values()
        places = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        names = {each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
        named = [*places, *[None] * len(args or ())]
        return (
            [self._plain(name, value) for name, value in zip(named, args or (), strict=False)],
            {name: self._plain(name if name in names else None, value) for name, value in (kwargs or {}).items()},
        )

    def _plain(self, name: str | None, value: Any) -> Any:
        if name is None or not isinstance(value, self._model) or hasattr(type(value), "__json__"):
            return value
        model = self._of(name, value)
        if model is None:
            return value
        try:
            plain = value.model_dump(**self._dump)
            return plain if self._made(model, plain) == value else value
        except Exception:  # a model that only a worker can make goes as it is
            return value

    def _made(self, model: Any, value: Any) -> Any:
        context = {**self._context, "celery_app": self._task.app, "celery_task_name": self._task.name}
        return model.model_validate(value, context=context, **self._options)

    def _of(self, name: str, value: Any) -> Any:
        """The model of an argument; None: it is none."""
        annotation = self._hints.get(name, self._signature.parameters[name].annotation)
        if value is not None:
            annotation = _of_optional(annotation) or annotation
        return annotation if isinstance(annotation, type) and issubclass(annotation, self._model) else None


def _of_optional(annotation: Any) -> Any:
    """What something is if it is not None; None: it may be something else."""
    if get_origin(annotation) not in (Union, UnionType):
        return None
    kinds = [each for each in get_args(annotation) if each is not NoneType]
    return kinds[0] if len(kinds) == 1 and len(get_args(annotation)) == 2 else None
