"""What a report looks like: HTML with charts in SVG, without script, and CSV."""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import jinja2

from jobs.analytics.models import QueueDay, TaskDay

WIDTH, HEIGHT, LEFT, BOTTOM = 640.0, 180.0, 52.0, 22.0
COLOURS = ("#2b8a3e", "#c92a2a", "#868e96", "#1864ab", "#e67700", "#862e9c", "#087f5b", "#a61e4d")
MOST_LINES = 6
COLUMNS = (
    *("day", "queue", "task", "finished", "succeeded", "failed", "cancelled", "success_rate", "processing_p50_seconds"),
    *("processing_p95_seconds", "retries", "attempts", "errors", "error_rate", "queue_length_mean", "queue_length_max"),
)
Series = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Shape:
    """A bar, or a line with its points.

    Attributes:
        colour: of CSS.
        title: what is shown where a pointer rests.
        bar: x, y, width and height; None for a line.
        points: of a line, as SVG has them.
    """

    colour: str
    title: str
    bar: tuple[float, float, float, float] | None = None
    points: str = ""


@dataclass(frozen=True)
class Chart:
    """A picture of some series over some days.

    Attributes:
        title: what it shows.
        top: the value at its upper edge.
        labels: x and text of the days below it.
        legend: colour and name of each series.
        shapes: what is drawn.
    """

    title: str
    top: float
    labels: list[tuple[float, str]]
    legend: list[tuple[str, str]]
    shapes: list[Shape]


def bars(title: str, days: Sequence[date], series: Series) -> Chart:
    """A chart of bars, the series on top of each other."""
    top = max((sum(each or 0 for each in column) for column in zip(*series.values(), strict=True)), default=0) or 1
    step = (WIDTH - LEFT) / len(days)
    shapes, floor = [], [0.0] * len(days)
    for (name, values), colour in zip(series.items(), COLOURS, strict=False):
        for number, value in enumerate(values):
            height = (value or 0) / top * HEIGHT
            if height:
                box = (LEFT + number * step + step * 0.1, HEIGHT - floor[number] - height, step * 0.8, height)
                shapes.append(Shape(colour, f"{days[number]}: {value:g} {name}", bar=box))
                floor[number] += height
    return Chart(title, top, _labels(days), _legend(series), shapes)


def lines(title: str, days: Sequence[date], series: Series) -> Chart:
    """A chart of lines; a day without a value is left out of its line."""
    top = max((value for values in series.values() for value in values if value is not None), default=0) or 1
    step = (WIDTH - LEFT) / len(days)
    shapes = []
    for (name, values), colour in zip(series.items(), COLOURS, strict=False):
        points = [
            f"{LEFT + (number + 0.5) * step:.1f},{HEIGHT - value / top * HEIGHT:.1f}"
            for number, value in enumerate(values)
            if value is not None
        ]
        if points:
            shapes.append(Shape(colour, name, points=" ".join(points)))
    return Chart(title, top, _labels(days), _legend(series), shapes)


def _labels(days: Sequence[date]) -> list[tuple[float, str]]:
    step, every = (WIDTH - LEFT) / len(days), -(-len(days) // 8)
    return [(LEFT + (number + 0.5) * step, f"{day:%d %b}") for number, day in enumerate(days) if number % every == 0]


def _legend(series: Series) -> list[tuple[str, str]]:
    return list(zip(COLOURS, series, strict=False))


def html(
    first_day: date, last_day: date, zone: str, task_days: Sequence[TaskDay], queue_days: Sequence[QueueDay]
) -> str:
    """The report as one page that needs nothing else."""
    days = [first_day + timedelta(days=number) for number in range((last_day - first_day).days + 1)]
    template = _templates().get_template("report.html.j2")
    return template.render(
        first_day=first_day,
        last_day=last_day,
        zone=zone,
        charts=_charts(days, task_days, queue_days),
        rows=_totals(task_days),
        queues=_lengths(queue_days),
        size={"width": WIDTH, "height": HEIGHT, "left": LEFT, "bottom": BOTTOM},
    )


def _charts(days: Sequence[date], task_days: Sequence[TaskDay], queue_days: Sequence[QueueDay]) -> list[Chart]:
    def daily(name: str) -> list[float | None]:
        total: defaultdict[date, int] = defaultdict(int)
        for row in task_days:
            total[row.day] += getattr(row, name)
        return [total[day] for day in days]

    finished: defaultdict[str, int] = defaultdict(int)
    for row in task_days:
        finished[row.task] += row.finished
    busiest = sorted(finished, key=lambda task: (-finished[task], task))[:MOST_LINES]
    p95 = {(row.task, row.day): row.processing_p95_seconds for row in task_days}
    longest: defaultdict[str, int] = defaultdict(int)
    for each in queue_days:
        longest[each.queue] = max(longest[each.queue], each.max_length)
    fullest = sorted(longest, key=lambda queue: (-longest[queue], queue))[:MOST_LINES]
    length = {(each.queue, each.day): each.max_length for each in queue_days}
    return [
        bars("Jobs that ended", days, {name: daily(name) for name in ("succeeded", "failed", "cancelled")}),
        bars("Retries and errors", days, {name: daily(name) for name in ("retries", "errors")}),
        lines(
            "Processing time, p95 in seconds", days, {task: [p95.get((task, day)) for day in days] for task in busiest}
        ),
        lines("Longest queue", days, {queue: [length.get((queue, day)) for day in days] for queue in fullest}),
    ]


def _totals(task_days: Sequence[TaskDay]) -> list[TaskDay]:
    """A row for each queue and task; its times are those of its slowest day, for percentiles do not add up."""
    totals: dict[tuple[str, str], TaskDay] = {}
    for row in task_days:
        total = totals.setdefault((row.queue, row.task), TaskDay(queue=row.queue, task=row.task))
        for name in ("finished", "succeeded", "failed", "cancelled", "retries", "attempts", "errors"):
            setattr(total, name, (getattr(total, name) or 0) + getattr(row, name))
        for name in ("processing_p50_seconds", "processing_p95_seconds"):
            values = [each for each in (getattr(total, name), getattr(row, name)) if each is not None]
            setattr(total, name, max(values, default=None))
    return [totals[key] for key in sorted(totals)]


def _lengths(queue_days: Sequence[QueueDay]) -> list[tuple[str, float, int]]:
    """Name, mean and greatest length of each queue."""
    found: defaultdict[str, list[QueueDay]] = defaultdict(list)
    for row in queue_days:
        found[row.queue].append(row)
    return [
        (
            queue,
            sum(row.mean_length * row.samples for row in rows) / sum(row.samples for row in rows),
            max(row.max_length for row in rows),
        )
        for queue, rows in sorted(found.items())
    ]


def csv_of(task_days: Sequence[TaskDay], queue_days: Sequence[QueueDay]) -> str:
    """A line for each day, queue and task, and one without a task for a queue in which nothing ended that day."""
    lengths = {(row.day, row.queue): row for row in queue_days}
    ended = {(row.day, row.queue) for row in task_days}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in task_days:
        writer.writerow([*(getattr(row, name) for name in COLUMNS[:-2]), *_length(lengths.get((row.day, row.queue)))])
    for key in sorted(lengths.keys() - ended):
        writer.writerow([*key, *[""] * (len(COLUMNS) - 4), *_length(lengths[key])])
    return text.getvalue()


def _length(row: QueueDay | None) -> tuple[float | str, int | str]:
    return (row.mean_length, row.max_length) if row else ("", "")


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("jobs.analytics"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
