"""The way of calls into the database."""

import warnings
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

from workrow.celery import codec, current, outbox, signals
from workrow.celery.exceptions import AlwaysEagerIgnored
from workrow.celery.message import delay_of, due_of, message
from workrow.celery.priorities import job_priority
from workrow.celery.publishing import headers_of, message_of
from workrow.celery.store import Store
from workrow.celery.unique import check_alone, check_parts, key_of, rule_of
from workrow.declare.options import check_name

Put = tuple[str, bool]
"""The id of the call that there is, and whether it was there before."""


class Sends:
    """The part of an app that sends calls."""

    conf: Any
    tasks: Any
    router: Any
    store: Store

    @property
    def AsyncResult(self) -> Any:
        """The class of results, of this app."""
        raise NotImplementedError

    def together(self) -> AbstractContextManager[None]:
        """What is sent inside is written at once, at the end of the block; nothing, if it raises."""
        return outbox.together(self.store.write)

    def send_task(
        self,
        name: str,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        add_to_parent: bool = True,
        task_type: Any = None,
        result_cls: Any = None,
        **options: Any,
    ) -> Any:
        """Send a call of a task by its name, whether this app has it or not.

        Returns:
            Its result; of a task with ``unique=`` that of the call which waits or runs with the same values, if one
            does: with the id of that one, and ``existing`` set.

        Raises:
            AlreadyEnqueued: there is such a call, and the rule says ``on_conflict="raise"``.
            EncodeError: its arguments are no JSON.
            ImproperlyConfigured: it is a part of a canvas, and unique.
            QueueFull: the queue has no room.
            QueueNotFound: the queue is not declared, and may not be made.
            OperationalError: the database cannot be reached.
        """
        if task_type is None and self.conf.task_always_eager:
            warnings.warn(AlwaysEagerIgnored("task_always_eager has no effect on send_task"), stacklevel=2)
        task_id = str(uuid4()) if task_id is None else task_id
        if not isinstance(task_id, str):
            raise TypeError(f"task_id={task_id!r}: must be text")
        parent = current.current_worker_task()
        if parent is not None:
            request = parent.request
            options["root_id"] = options.get("root_id") or request.root_id or request.id
            options["parent_id"] = options.get("parent_id") or request.id
            if options.get("priority") is None and self.conf.task_inherit_parent_priority:
                options["priority"] = (request.delivery_info or {}).get("priority")
        codec.check_serializer(options.get("serializer"))
        task = task_type or self.tasks.get(name)
        rule = rule_of(task, options)
        options = {**self.router.route(options, name, args or (), kwargs or {}, task=task), "unique": rule}
        told = message(task_id, args, kwargs, options)
        check_parts(self.tasks, options)
        if signals.before_task_publish.receivers or signals.after_task_publish.receivers:
            found_id, existing = self._publish(name, told, args, kwargs, options)
        else:
            found_id, existing = self._put(name, told, args, kwargs, options)
        handle = (result_cls or self.AsyncResult)(found_id)
        handle.existing = existing
        handle.ignored = bool(options.get("ignore_result"))
        if add_to_parent and parent is not None:
            parent.add_trail(handle)
        return handle

    def _publish(self, name: str, told: dict[str, Any], args: Any, kwargs: Any, options: dict[str, Any]) -> Put:
        """`_put`, and who listens is told; headers that a receiver adds are sent along."""
        headers = headers_of(name, told, args, kwargs, options)
        said = message_of(told, args, kwargs, options)
        known = set(headers)
        signals.before_task_publish.send(sender=name, headers=headers, **said)
        if added := {key: value for key, value in headers.items() if key not in known}:
            told["headers"] = codec.pack({**(options.get("headers") or {}), **added})
        put = self._put(name, told, args, kwargs, options)
        if not put[1]:
            sent = {key: said[key] for key in ("body", "exchange", "routing_key")}
            signals.after_task_publish.send(sender=name, headers=headers, **sent)
        return put

    def _put(self, name: str, told: dict[str, Any], args: Any, kwargs: Any, options: dict[str, Any]) -> Put:
        """Write the call, or find the one that has its key."""
        for kind, value in (("task", name), ("queue", options["queue"])):
            check_name(kind, value)
        if "\0" in told["id"]:
            raise ValueError(f"task_id={told['id']!r}: must have no NUL, which text in PostgreSQL cannot have")
        call: dict[str, Any] = {"task": name, "queue": options["queue"], "args": told}
        priority = options.get("priority")
        if priority is None:
            priority = self.conf.task_default_priority
        if priority is not None:
            told["priority"] = priority
        call["priority"] = job_priority(priority)
        if (delay := delay_of(options)) is not None:
            call["delay"] = delay
        elif options.get("countdown") is None and (due := due_of(options)) is not None:
            call["at"] = due.isoformat()
        task = self.tasks.get(name)
        if task is not None and (line := task.line_in(options["queue"], args, kwargs)) is not None:
            call["line"] = line
        if (rule := options["unique"]) is not None:
            check_alone(name, options)
            return self.store.once(call, rule, key_of(name, task, rule, args, kwargs))
        outbox.put("calls", call, self.store.write)
        return told["id"], False
