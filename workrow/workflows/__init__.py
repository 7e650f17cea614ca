"""Workflows: tasks that follow each other, as values; once enqueued, rows that are no jobs before their turn."""

from workrow.workflows.errors import WorkflowCancelled, WorkflowFailed
from workrow.workflows.handle import Workflow, WorkflowStatus
from workrow.workflows.shapes import chain, chord, chunks, graph, group, map, starmap
from workrow.workflows.values import Chain, Flow, Graph, Group, Signature
from workrow.workflows.wire import from_json

__all__ = [
    "Chain",
    "Flow",
    "Graph",
    "Group",
    "Signature",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowFailed",
    "WorkflowStatus",
    "chain",
    "chord",
    "chunks",
    "from_json",
    "graph",
    "group",
    "map",
    "starmap",
]
