"""What a look at all queues from the start finds: which groups of jobs are ready, and when the next is due."""

from dataclasses import dataclass, field

from workrow.database.link import Row


@dataclass(slots=True)
class Group:
    """The ready jobs of one queue and one priority (None: of all). ``after``: the highest id claimed."""

    queue: str
    priority: int | None
    after: int = 0


@dataclass(slots=True)
class Survey:
    """What the last look from the start found."""

    groups: list[Group] = field(default_factory=list)
    locked: bool = False
    due_in: float | None = None
    at: float = 0.0
    next_at: float = 0.0

    def renewed(self, rows: list[Row], at: float, next_at: float) -> "Survey":
        """What the rows of ``survey_jobs.sql`` say, read at this moment; the cursors of this one go on.

        Args:
            rows: of the queues that are served.
            at: when they were read, in monotonic seconds.
            next_at: when to look again.
        """
        survey = Survey(at=at, next_at=next_at)
        cursors = {(group.queue, group.priority): group.after for group in self.groups}
        for kind, queue, priority, first_id, seconds in rows:
            if kind == "locked":
                survey.locked = True
            elif kind == "due":
                survey.due_in = seconds
            elif kind == "ready":
                # what is ready below a cursor was committed late: go back for it
                after = min(cursors.get((queue, priority), 0), first_id - 1)
                survey.groups.append(Group(queue, priority, after))
        return survey

    def merge_groups(self, many: int) -> None:
        """Make one group of each queue that has so many, and sort by priority."""
        queues: dict[str, list[Group]] = {}
        for group in self.groups:
            queues.setdefault(group.queue, []).append(group)
        self.groups = [
            group for queue, each in queues.items() for group in (each if len(each) < many else [Group(queue, None)])
        ]
        self.groups.sort(key=lambda group: -(group.priority or 0))
