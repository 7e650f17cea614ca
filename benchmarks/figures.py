"""The arithmetic: medians, percentiles, ratios, rows of the table."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Row:
    """One figure of one peer.

    Attributes:
        workload: which workload, as on the command line.
        case: which part of it.
        peer: whose.
        unit: of ``values``.
        settings: what the peer ran with.
        values: one per run.
        jobs: how many jobs a run had.
        reason: why there are no values; None if there are.
    """

    workload: str
    case: str
    peer: str
    unit: str
    settings: str = ""
    values: list[float] = field(default_factory=list)
    jobs: int = 0
    reason: str | None = None

    @property
    def value(self) -> float | None:
        """The median of the runs."""
        return statistics.median(self.values) if self.values else None

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return {**asdict(self), "median": self.value}


class Results:
    """All rows, in the order in which they came; ``scale``: of the large tables, 1 is what the goals are about."""

    def __init__(self, scale: float = 1.0) -> None:
        self.rows: list[Row] = []
        self.scale = scale

    def row(self, workload: str, case: str, peer: str, unit: str) -> Row:
        """The row of that name, made if there is none."""
        for row in self.rows:
            if (row.workload, row.case, row.peer) == (workload, case, peer):
                return row
        self.rows.append(Row(workload, case, peer, unit))
        return self.rows[-1]

    def value(self, workload: str, case: str, peer: str) -> float | None:
        """The median of a row; None if it was not measured."""
        for row in self.rows:
            if (row.workload, row.case, row.peer) == (workload, case, peer):
                return row.value
        return None

    def of_peers(self, workload: str, case: str, without: Iterable[str] = ()) -> dict[str, float]:
        """The medians of everybody who has one."""
        return {
            row.peer: row.value
            for row in self.rows
            if (row.workload, row.case) == (workload, case) and row.peer not in set(without) and row.value is not None
        }


def ratio(value: float | None, base: float | None) -> float | None:
    """``value / base``; None if one of them is missing or there is nothing to divide by."""
    return None if value is None or not base else value / base


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed (nearest rank).

    Raises:
        ValueError: there are no values, or it is no percentage.
    """
    if not values or not 0 <= percent <= 100:
        raise ValueError(f"no {percent}th percentile of {len(values)} values")
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def quarter_rates(times: Sequence[float], step: int) -> tuple[float, float]:
    """Jobs a second in the first and in the last quarter, from the times of every ``step``-th job.

    Raises:
        ValueError: too few times to have quarters.
    """
    ordered = sorted(times)
    quarter = (len(ordered) - 1) // 4
    if quarter < 1:
        raise ValueError(f"{len(ordered)} marks have no quarters")
    first, last = ordered[quarter] - ordered[0], ordered[-1] - ordered[-1 - quarter]
    jobs = quarter * step
    return jobs / max(first, 1e-9), jobs / max(last, 1e-9)


def short(value: float | None) -> str:
    """A figure as a person writes it."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
