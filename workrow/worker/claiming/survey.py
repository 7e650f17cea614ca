"""What a look at the queues from the start finds: which groups of jobs are ready, and when the next is due."""

import sys
from dataclasses import dataclass, field

from workrow.database.link import Row

LEVELS = 4
"""So many priorities of a queue have groups of their own; the last one's stands for all below it as well."""
NONE_FRESH = sys.maxsize
SWEEP_SHARE = 20
"""A survey may take a twentieth of the time: under a snapshot that somebody holds open it walks over dead entries."""


@dataclass(slots=True)
class Group:
    """The ready jobs of one queue and one priority.

    Attributes:
        after: the highest id claimed of those that were never scheduled.
        since: when its first job became ready, in monotonic seconds.
        mixed: some were scheduled, retried or snoozed: these are claimed by the time when they became ready.
        rest: lower priorities are meant, too.
    """

    queue: str
    priority: int
    after: int = 0
    since: float = 0.0
    mixed: bool = False
    rest: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.queue, self.priority


@dataclass(slots=True)
class Survey:
    """What the last look from the start found."""

    groups: list[Group] = field(default_factory=list)
    locked: bool = False
    due_in: float | None = None
    at: float = 0.0
    next_at: float = 0.0

    def renewed(self, rows: list[Row], at: float, next_at: float, levels: int = LEVELS) -> "Survey":
        """What the rows of ``survey_jobs.sql`` say, read at this moment; the cursors of this one go on.

        Args:
            rows: of the queues that are served.
            at: when they were read, in monotonic seconds.
            next_at: when to look again.
            levels: how many priorities of a queue were asked for.
        """
        survey = Survey(at=at, next_at=next_at)
        cursors = {group.key: group.after for group in self.groups}
        found: dict[str, int] = {}
        for kind, queue, priority, first_id, seconds, mixed in rows:
            if kind == "locked":
                survey.locked = True
            elif kind == "due":
                survey.due_in = seconds
            elif kind == "ready":
                found[queue] = found.get(queue, 0) + 1
                if first_id is None:
                    after = cursors.get((queue, priority), NONE_FRESH)
                else:
                    # what is ready below a cursor was committed late: go back for it
                    after = min(cursors.get((queue, priority), 0), first_id - 1)
                since = at - (seconds or 0.0)
                survey.groups.append(Group(queue, priority, after, since, mixed, rest=found[queue] == levels))
        return survey
