"""Which of the workflows that were enqueued a test means."""

import json
from collections import defaultdict
from typing import Any

from workrow.arguments.jsonb import dump_arguments
from workrow.enqueue.transaction import Rows
from workrow.testing.databases import TestingError
from workrow.testing.reports import Waiting, listed
from workrow.workflows.plan import Node
from workrow.workflows.start import Prepared, _alone
from workrow.workflows.values import Flow


def check_alone(**given: Any) -> None:
    """Raise TestingError if anything is asked for beside a workflow, which says all of it."""
    for name, value in given.items():
        if value is not None:
            raise TestingError(f"{name}={value!r}: a workflow has its arguments in itself; ask for one of its tasks")


def alike(flow: Flow[Any, Any], rows: Rows) -> list[int]:
    """The ids of the workflows that are made of the same tasks with the same arguments.

    Args:
        flow: the workflow.
        rows: of ``list_workflow_tasks.sql``.

    Raises:
        TestingError: it is one task alone, which is a plain job.
        WorkflowError, ArgumentError, OptionError: it cannot be.
    """
    if (alone := _alone(flow)) is not None:
        raise TestingError(
            f"{flow!r} is one task alone, and so a plain job: say assert_enqueued({alone.task!r}, args=…)"
        )
    prepared = Prepared(flow)
    with prepared.hooked(None):
        wanted = [_made_of(node) for node in prepared.plan.nodes]
    found: dict[tuple[int, str], list[Any]] = defaultdict(list)
    for workflow_id, name, number, kind, fires, parents, takes, task, args in rows:
        found[workflow_id, name].append((number, kind, fires, list(parents), takes, task, args if task else None))
    return [number for (number, name), nodes in found.items() if nodes == wanted and flow.name in (None, name)]


def check_flow(flow: Flow[Any, Any], found: list[int], waiting: list[Waiting], count: int | None) -> None:
    """Raise AssertionError if there are not so many (None: any), with a list of what waits."""
    __tracebackhide__ = True
    if count is None and not found:
        raise AssertionError(f"expected {flow!r} to be enqueued, but {listed(waiting)}")
    if count == 0 and found:
        raise AssertionError(f"expected no {flow!r} to be enqueued, but workflow {found[0]} is; {listed(waiting)}")
    if count is not None and len(found) != count:
        raise AssertionError(f"expected {flow!r} to be enqueued {count} times, not {len(found)}; {listed(waiting)}")


def _made_of(node: Node) -> tuple[Any, ...]:
    task = args = None
    if node.signature is not None:
        task = node.signature.task
        args = json.loads(dump_arguments(task, node.arguments, None))
    return node.number, node.kind, node.fires, node.parents or [], node.takes or {}, task, args
