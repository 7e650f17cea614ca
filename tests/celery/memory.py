"""The door's canvas on a queue in memory: calls go through JSON, and each is run after the other."""

import json
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any

from tests.celery.conformance.looking import shown
from tests.celery.notation import declare
from workrow.celery import codec, current, ends, runs, states
from workrow.celery.backend import opened, packed
from workrow.celery.builtins import add_builtins
from workrow.celery.exceptions import NotRegistered, TimeoutError
from workrow.celery.request import Context
from workrow.celery.result import AsyncResult, GroupResult
from workrow.celery.task import Task


class Tasks(dict[str, Task]):
    def __missing__(self, name: str) -> Task:
        raise NotRegistered(name)


class Backend:
    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.sizes: dict[str, int] = {}
        self.parts: dict[str, list[Any]] = {}
        self.groups: dict[str, Any] = {}

    def meta(self, task_id: str) -> dict[str, Any]:
        return dict(self.kept.get(task_id) or {"status": states.PENDING, "result": None})

    def metas(self, task_ids: list[str]) -> dict[str, dict[str, Any]]:
        return {each: self.meta(each) for each in task_ids}

    def store(self, task_id: str, state: str, value: Any, children: Any = (), **_: Any) -> None:
        kept = opened(state, json.loads(json.dumps(packed(state, value))))
        self.kept[task_id] = {"status": state, "result": kept, "children": json.loads(json.dumps(children))}

    def wait(self, result: AsyncResult, timeout: float | None, interval: float | None) -> None:
        if not result.ready():
            raise TimeoutError("The operation timed out.")

    def set_chord_size(self, group_id: str, size: int) -> None:
        self.sizes.setdefault(group_id, size)

    def apply_chord(self, header: GroupResult, body: Any) -> None:
        if any(isinstance(each, GroupResult) for each in header.results):
            header.save()

    def save_group(self, group_id: str, told: Any) -> None:
        self.groups[group_id] = told

    def delete_group(self, group_id: str) -> None:
        self.groups.pop(group_id, None)

    def forget(self, task_id: str) -> None:
        self.kept.pop(task_id, None)

    def saved_group(self, group_id: str) -> Any:
        return self.groups.get(group_id)

    def add_part(self, request: Context, state: str, value: Any) -> None:
        parts = self.parts.setdefault(request.group, [])
        parts.append((request.group_index, request.id, state, value))
        if len(parts) == self.sizes.get(request.group, 0):
            given = [part[1:] for part in sorted(parts, key=lambda part: part[0])]
            ends.header_ended(current.current_app(), request.group, request.chord, request.children, given)

    def add_to_chord(self, group_id: str, result: Any) -> None:
        self.sizes[group_id] += 1


class App:
    def __init__(self) -> None:
        self.conf = SimpleNamespace(
            task_always_eager=False,
            task_eager_propagates=False,
            task_store_eager_result=False,
            task_allow_error_cb_on_chord_header=False,
            task_store_errors_even_if_ignored=False,
        )
        self.tasks = Tasks()
        self.backend = Backend()
        self.queue: deque[str] = deque()
        self.runs: list[dict[str, Any]] = []
        self.names: dict[str, str] = {}
        current.set_default(self)
        add_builtins(self)

    def AsyncResult(self, task_id: str, **options: Any) -> AsyncResult:
        return AsyncResult(task_id, app=self, **options)

    def GroupResult(self, group_id: str | None, results: list[Any], **options: Any) -> GroupResult:
        return GroupResult(group_id, results, app=self, **options)

    def task(self, name: str, base: type[Task] = Task, **options: Any) -> Any:
        def made(function: Any) -> Task:
            bind = options.get("bind", False)

            class One(base):  # type: ignore[misc,valid-type]
                run = function if bind else staticmethod(function)
                _function = staticmethod(function)

            one = One()
            one.app, one.name, one.typing = self, name, True
            one.store_eager_result = self.conf.task_store_eager_result
            one.__dict__.update(options)
            self.tasks[name] = one
            return one

        return made

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    def encoded(self, value: Any) -> Any:
        return codec.loads(codec.dumps(value))

    def send_task(
        self, name: str, args: Any, kwargs: Any, task_id: str, add_to_parent: bool = True, chain: Any = None,
        chord: Any = None, link: Any = None, link_error: Any = None, group_id: str | None = None, **options: Any,
    ) -> AsyncResult:  # fmt: skip
        parent = current.current_worker_task()
        root_id, parent_id = options.get("root_id"), options.get("parent_id")
        if parent is not None:
            root_id = root_id or parent.request.root_id or parent.request.id
            parent_id = parent_id or parent.request.id
        listed = ends.listed
        message = {
            "task": name, "id": task_id, "args": [*(args or ())], "kwargs": kwargs or {}, "callbacks": listed(link),
            "errbacks": listed(link_error), "chain": chain, "chord": chord, "group": group_id,
            "group_index": options.get("group_index"), "root_id": root_id or task_id, "parent_id": parent_id,
            "retries": options.get("retries", 0), "ignore_result": options.get("ignore_result", False),
            "replaced_task_nesting": options.get("replaced_task_nesting", 0),
            "delivery_info": {"routing_key": options.get("queue") or "celery"},
        }  # fmt: skip
        self.queue.append(codec.dumps(message))
        result = self.AsyncResult(task_id)
        result.ignored = bool(message["ignore_result"])
        if add_to_parent and parent is not None:
            parent.add_trail(result)
        return result

    def work(self) -> None:
        for _ in range(2000):
            if not self.queue:
                return
            message = json.loads(self.queue.popleft())
            request = Context(message, called_directly=False)
            self.names[request.id] = request.task
            try:
                task = self.tasks[request.task]
            except NotRegistered as error:
                ends.failed(self, request, error)
                continue
            state = runs.run(self, task, request).state
            self.runs.append({"task": request.task, "args": request.args, "kwargs": request.kwargs, "state": state})
        raise AssertionError("it never comes to rest")


class Memory:
    """Where shapes are run in this process."""

    def __init__(self) -> None:
        self.app = App()
        self._errbacks: list[dict[str, Any]] = []
        declare(self.app, self._note)

    def _note(self, errback: str, args: Any, request: Context) -> None:
        self._errbacks.append({"errback": errback, "as_task": not request.called_directly, "args": shown(args)})

    def rest(self) -> bool:
        self.app.work()
        return True

    def names(self) -> dict[str, str]:
        return self.app.names

    def runs(self) -> list[dict[str, Any]]:
        return self.app.runs

    def errbacks(self) -> list[dict[str, Any]]:
        return self._errbacks
