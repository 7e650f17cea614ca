"""What a running task knows of its call: ``self.request``."""

from typing import Any


class Context:
    """The call of the moment. What was not told is None, and whoever calls a task as a function has told nothing."""

    _kept: bool = True
    _protected: int = 0
    args: Any = None
    argsrepr: str | None = None
    callbacks: Any = None
    called_directly: bool = True
    chain: Any = None
    chord: Any = None
    correlation_id: str | None = None
    delivery_info: Any = None
    errbacks: Any = None
    eta: Any = None
    expires: Any = None
    group: Any = None
    group_index: int | None = None
    headers: Any = None
    hostname: str | None = None
    id: Any = None
    ignore_result: bool | None = False
    is_eager: bool = False
    kwargs: Any = None
    kwargsrepr: str | None = None
    lang: str | None = None
    origin: str | None = None
    parent_id: str | None = None
    properties: Any = None
    replaced_task_nesting: int = 0
    reply_to: str | None = None
    retries: int = 0
    root_id: str | None = None
    shadow: str | None = None
    stamped_headers: Any = None
    stamps: Any = None
    task: str = "unknown"
    soft_time_limit: float | None = None
    time_limit: float | None = None
    timelimit: Any = None

    def __init__(self, *told: dict[str, Any], **more: Any) -> None:
        self.update(*told, **more)

    def update(self, *told: dict[str, Any], **more: Any) -> None:
        for each in told:
            vars(self).update(each)
        vars(self).update(more)

    @property
    def children(self) -> list[Any]:
        """Results of the calls that it has made."""
        children: list[Any] = vars(self).setdefault("_children", [])
        return children

    @children.setter
    def children(self, value: list[Any]) -> None:
        vars(self)["_children"] = value

    def as_execution_options(self) -> dict[str, Any]:
        """What this call was sent with, as options of ``apply_async``: for sending it once more."""
        hard, soft = self.timelimit or (None, None)
        stamps = {name: self.stamps[name] for name in self.stamped_headers or () if name in (self.stamps or {})}
        return {
            "task_id": self.id, "root_id": self.root_id, "parent_id": self.parent_id, "group_id": self.group,
            "group_index": self.group_index, "shadow": self.shadow, "chord": self.chord, "chain": self.chain,
            "link": self.callbacks, "link_error": self.errbacks, "expires": self.expires, "soft_time_limit": soft,
            "time_limit": hard, "headers": self.headers or {}, "retries": self.retries, "reply_to": self.reply_to,
            "replaced_task_nesting": self.replaced_task_nesting, "origin": self.origin, **stamps,
            **({"stamped_headers": [*stamps]} if self.stamped_headers is not None else {}),
        }  # fmt: skip

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key, default)

    def clear(self) -> None:
        vars(self).clear()

    def __repr__(self) -> str:
        return f"<Context: {vars(self)!r}>"


def ignores_result(task: Any, request: Context) -> bool:
    """Whether no result is kept: as the call says, or the task where the call was sent by its name and says nothing."""
    said = request.ignore_result
    return bool(getattr(task, "ignore_result", False) if said is None else said)
