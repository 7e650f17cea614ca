"""The values that pass between the floors."""

from dataclasses import dataclass
from typing import Generic

from typing_extensions import TypeVar

R_co = TypeVar("R_co", covariant=True)

JSON = dict[str, "JSON"] | list["JSON"] | str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Job(Generic[R_co]):
    """A job that was enqueued. ``R_co`` is what its task returns.

    It exists in the database from the moment its transaction commits.

    Attributes:
        id: the row's id, unique for ever.
        task: the task's name.
        queue: the queue's name.
    """

    id: int
    task: str
    queue: str
