"""What became of calls: what ``celery.result`` has."""

from workrow.celery.result.base import ResultBase, of_app, result_from_tuple
from workrow.celery.result.eager import EagerResult
from workrow.celery.result.graph import DependencyGraph
from workrow.celery.result.group import GroupResult
from workrow.celery.result.joining import (
    allow_join_result,
    assert_will_not_block,
    denied_join_result,
    task_join_will_block,
)
from workrow.celery.result.many import ResultSet
from workrow.celery.result.single import AsyncResult

__all__ = [
    "AsyncResult",
    "DependencyGraph",
    "EagerResult",
    "GroupResult",
    "ResultBase",
    "ResultSet",
    "allow_join_result",
    "assert_will_not_block",
    "denied_join_result",
    "of_app",
    "result_from_tuple",
    "task_join_will_block",
]
