"""procrastinate's queries, so that its job manager, command line and shell see jobs in history too."""

import re
from functools import cache
from typing import LiteralString

from procrastinate.sql import queries

from workrow import sql

READS = ("get_job_status", "list_jobs", "list_queues", "list_tasks", "list_locks", "count_jobs_status")
"""They only read: the same text on the view of live and finished jobs."""
REWRITTEN = ("delete_old_jobs", "select_stalled_jobs_by_started")
"""They join procrastinate_events, which nobody writes any more."""


@cache
def replaced() -> dict[str, LiteralString]:
    """From the text of one of procrastinate's queries to that of ours."""
    reads = {queries[name]: re.sub(r"\bprocrastinate_jobs\b", "workrow.all_jobs", queries[name]) for name in READS}
    return reads | {queries[name]: sql.load(f"upstream_{name}") for name in REWRITTEN}


def ours(query: LiteralString) -> LiteralString:
    """The query to run instead of ``query``; most are their own."""
    return replaced().get(query, query)


def kind_for(query: str) -> str:
    """The kind of role that may run one of procrastinate's queries, or what stands for it."""
    if query == queries["defer_jobs"]:
        return "producer"
    return "viewer" if query in {queries[name] for name in READS} else "worker"
