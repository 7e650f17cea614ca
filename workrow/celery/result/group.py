"""What became of a group."""

from collections.abc import Iterable
from typing import Any, Self

from workrow.celery.current import Host, current_app
from workrow.celery.result.base import result_from_tuple
from workrow.celery.result.many import ResultSet


class GroupResult(ResultSet):
    """What the members of a group come to, in their order.

    Args:
        id: of the group.
        results: of its members.
        parent: the result that it follows.
    """

    def __init__(
        self, id: str | None = None, results: Iterable[Any] | None = None, parent: Any = None, **options: Any
    ) -> None:
        super().__init__(results or (), **options)
        self.id = id
        self.parent = parent

    @property
    def children(self) -> list[Any]:
        return self.results

    def as_tuple(self) -> Any:
        return (self.id, self.parent and self.parent.as_tuple()), [each.as_tuple() for each in self.results]

    def save(self, backend: Any = None) -> Self:
        """Keep it, so that `restore` finds it by its id."""
        (backend or self.backend).save_group(self.id, self.as_tuple())
        return self

    def delete(self, backend: Any = None) -> None:
        """Forget that it was saved."""
        (backend or self.backend).delete_group(self.id)

    @classmethod
    def restore(cls, id: str, backend: Any = None, app: Host | None = None) -> Any:
        """What was saved under this id; None: nothing."""
        app = app or current_app()
        told = (backend or app.backend).saved_group(id)
        return None if told is None else result_from_tuple(told, app)

    def __bool__(self) -> bool:
        return bool(self.id or self.results)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GroupResult):
            return (other.id, other.results, other.parent) == (self.id, self.results, self.parent)
        return bool(self.id == other)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.id)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<GroupResult: {self.id} [{', '.join(each.id for each in self.results)}]>"

    def __reduce__(self) -> Any:
        return type(self), (self.id, self.results)
