"""Results, groups and chords in the database."""

from typing import Any

from workrow.celery import codec, outbox, states
from workrow.celery.current import Host
from workrow.celery.kept_errors import keep_error, restore_error
from workrow.celery.store import Store


class Backend:
    """What results are kept in, and asked for.

    Args:
        app: whose settings hold.
        store: the database.
    """

    persistent = True
    supports_native_join = True

    def __init__(self, app: Host, store: Store) -> None:
        self.app = app
        self._database = store

    @property
    def lasts(self) -> float | None:
        """Seconds for which results are kept; None: for ever."""
        lasts = self.app.conf.result_expires
        if lasts is None:
            return None
        return float(lasts.total_seconds() if hasattr(lasts, "total_seconds") else lasts) or None

    # ---------------------------------------------------------------- one task

    def meta(self, task_id: str) -> dict[str, Any]:
        # text in PostgreSQL has no NUL: nothing can be known of such an id
        rows = [] if "\0" in str(task_id) else self._database.run("celery_meta", id=str(task_id))
        return _meta(task_id, *rows[0]) if rows else nothing_of(task_id)

    def metas(self, task_ids: list[str]) -> dict[str, dict[str, Any]]:
        """Those of many."""
        rows = self._database.run("celery_metas", ids=[str(each) for each in task_ids if "\0" not in str(each)])
        known = {row[0]: _meta(*row) for row in rows}
        return {each: known.get(each) or nothing_of(each) for each in task_ids}

    get_task_meta = meta

    def store(
        self,
        task_id: str,
        state: str,
        value: Any,
        children: Any = (),
        traceback: str | None = None,
        request: Any = None,
    ) -> None:
        told: dict[str, Any] = {"task_id": str(task_id), "state": state, "value": packed(state, value)}
        if traceback is not None:
            told["traceback"] = traceback.replace("\0", "\\x00")
        if children:
            told["children"] = children
        if request is not None and self.app.conf.result_extended:
            told["details"] = {
                "name": request.task, "args": codec.pack(request.args), "kwargs": codec.pack(request.kwargs),
                "worker": request.hostname, "retries": request.retries,
                "queue": (request.delivery_info or {}).get("routing_key"),
            }  # fmt: skip
            if request.stamps:
                stamps = {"stamped_headers": request.stamped_headers, **request.stamps}
                told["details"] |= {name: codec.pack(value) for name, value in stamps.items()}
        lasts = self.app.conf.result_failure_expires if state == states.FAILURE else None
        if (lasts := self.lasts if lasts is None else float(lasts)) is not None:
            told["lasts"] = lasts
        outbox.put("results", told, self._database.write)

    def store_result(
        self, task_id: str, result: Any, state: str, traceback: str | None = None, request: Any = None, **_: Any
    ) -> Any:
        """As Celery names it: what a task has come to, or says of itself."""
        self.store(task_id, state, result, traceback=traceback, request=request)
        return result

    def mark_as_done(self, task_id: str, result: Any, request: Any = None, **_: Any) -> None:
        self.store(task_id, states.SUCCESS, result, request=request)

    def mark_as_failure(
        self, task_id: str, exc: BaseException, traceback: str | None = None, request: Any = None, **_: Any
    ) -> None:
        self.store(task_id, states.FAILURE, exc, traceback=traceback, request=request)

    def get_state(self, task_id: str) -> str:
        return str(self.meta(task_id)["status"])

    get_status = get_state

    def get_result(self, task_id: str) -> Any:
        return self.meta(task_id)["result"]

    def get_traceback(self, task_id: str) -> Any:
        return self.meta(task_id).get("traceback")

    def get_children(self, task_id: str) -> Any:
        return self.meta(task_id).get("children")

    def forget(self, task_id: str) -> None:
        self._database.run("celery_forget", ids=[str(task_id)])

    def wait(self, result: Any, timeout: float | None, interval: float | None) -> None:
        self._database.wait([str(result.id)], timeout, interval)

    def wait_for_all(self, task_ids: list[str], timeout: float | None, interval: float | None) -> None:
        """Until all have ended; seconds. Raises TimeoutError."""
        self._database.wait([str(each) for each in task_ids], timeout, interval)

    def cleanup(self) -> None:
        """Delete what has expired."""
        while self._database.run("celery_prune", lasts=self.lasts or 86400)[0][0]:
            pass

    # ---------------------------------------------------------------- groups and chords

    def save_group(self, group_id: str, told: Any) -> None:
        outbox.put("groups", {"group_id": group_id, "members": told, "lasts": self.lasts}, self._database.write)

    def saved_group(self, group_id: str) -> Any:
        rows = self._database.run("celery_group", id=str(group_id))
        return rows[0][0] if rows else None

    def delete_group(self, group_id: str) -> None:
        self._database.run("celery_forget", ids=[str(group_id)])

    def set_chord_size(self, group_id: str, size: int) -> None:
        outbox.put("sizes", {"group_id": group_id, "size": size}, self._database.write)

    def apply_chord(self, header: Any, body: Any) -> None:
        if any(hasattr(each, "results") for each in header.results):
            header.save()

    def add_to_chord(self, group_id: str, result: Any) -> None:
        outbox.put("grown", {"group_id": group_id}, self._database.write)

    def add_part(self, request: Any, state: str, value: Any) -> None:
        """One of a chord's header has ended. The last one's end sends the job that sends the body."""
        part = {
            "group_id": request.group, "position": request.group_index, "task_id": request.id, "state": state,
            "value": packed(state, value), "body": codec.pack(request.chord),
            "last_part": {
                "id": request.id, "root_id": request.root_id,
                "children": [child.as_tuple() for child in request.children or ()],
            },
            "queue": (request.delivery_info or {}).get("routing_key") or self.app.conf.task_default_queue,
        }  # fmt: skip
        outbox.put("parts", part, self._database.write)

    def parts(self, group_id: str) -> list[tuple[str, str, Any]]:
        """How the header has ended: ids, states and values."""
        return [
            (task_id, state, opened(state, value))
            for task_id, state, value in self._database.run("celery_parts", id=group_id)
        ]


def nothing_of(task_id: str) -> dict[str, Any]:
    """What is known of a call that nobody has heard of."""
    return {"task_id": task_id, "status": states.PENDING, "result": None, "traceback": None, "children": None}


def packed(state: str, value: Any) -> Any:
    """A value, or an exception, as it is stored."""
    if state in states.EXCEPTION_STATES and isinstance(value, BaseException):
        value = keep_error(value)
    return codec.pack(value)


def opened(state: str, stored: Any) -> Any:
    """What was stored."""
    value = codec.unpack(stored)
    return restore_error(value) if state in states.EXCEPTION_STATES else value


def kept(task_id: str, state: str, value: Any, *rest: Any) -> dict[str, Any]:
    """A row of ``celery_meta.sql`` as the dict that Celery keeps, in which an error is as it is stored."""
    traceback, children, details, noted_at = rest
    is_ready = state in states.READY_STATES
    return {
        "task_id": task_id,
        "status": state,
        "result": codec.unpack(value),
        "traceback": traceback,
        "children": children if children is not None else [] if is_ready else None,
        "date_done": noted_at if is_ready else None,
        **{name: codec.unpack(value) for name, value in (details or {}).items()},
    }


def _meta(task_id: str, state: str, *rest: Any) -> dict[str, Any]:
    meta = kept(task_id, state, *rest)
    if state in states.EXCEPTION_STATES:
        meta["result"] = restore_error(meta["result"])
    return meta
