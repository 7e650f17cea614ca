"""Enqueue under a rule, or with an expiry: the database decides, and says what it did."""

import inspect
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from procrastinate.exceptions import AlreadyEnqueued

from workrow.declare.options import Options
from workrow.declare.unique import check_seconds, keys_of
from workrow.enqueue import transaction
from workrow.enqueue.hiding import hide, hide_async
from workrow.enqueue.insert import Arguments, joined
from workrow.enqueue.not_inserted import cap_params, refusal
from workrow.enqueue.transaction import AsyncTransaction, Params, Rows, SyncTransaction
from workrow.errors import TransactionError

Found = list[tuple[int, bool]]
"""For each set of arguments the id of its job, and whether it is new."""


def once_params(
    params: Params,
    options: Options,
    signature: inspect.Signature,
    arguments: Sequence[Arguments],
    hidden: frozenset[str],
) -> dict[str, Any]:
    """The parameters of ``enqueue_once.sql``, from those of ``enqueue_jobs.sql`` and what these options add."""
    rule, expires = options.rule, options.expires
    at = params["at"]
    job = {
        "queue_name": params["queue"],
        "task_name": params["task"],
        "priority": params["priority"],
        "lock": params["lock"],
        "queueing_lock": params["queueing_lock"],
        "version": params.get("version"),
        "scheduled_at": at and at.isoformat(),
    }
    if isinstance(expires, datetime):
        job["expires_at"] = expires.isoformat()
    elif expires is not None:
        job["lifetime"] = check_seconds("expires", expires)
    keys = [] if rule is None else keys_of(params["task"], rule, signature, arguments, hidden)
    return {
        "job": json.dumps(job),
        "delay": params["delay"],
        "rule": json.dumps(rule.as_json()) if rule else "{}",
        "args": joined(params),
        "keys": json.dumps(keys),
        "lines": json.dumps(params["lines"] or []),
        "refused": params,
    }


async def insert_once_async(on: AsyncTransaction, params: Params) -> Found:
    """Insert or find the jobs of ``params`` (see `once_params`).

    Raises:
        AlreadyEnqueued: a rule that raises found a job, or the queueing lock is taken; nothing was inserted, and the
            transaction is usable.
        QueueFull: the queue has no room; the same.
        TransactionError: the transaction cannot take an INSERT.
    """
    refused, statement = _split(params)
    await hide_async(on, refused)
    rows = await transaction.run_async(on, "enqueue_once", statement)
    if rows[0][2] in ("full", "locked"):
        raise refusal(refused, await transaction.run_async(on, "read_queue_cap", cap_params(refused)))
    return _read(rows, refused)


def insert_once(on: SyncTransaction, params: Params) -> Found:
    """The same in a sync transaction."""
    refused, statement = _split(params)
    hide(on, refused)
    rows = transaction.run(on, "enqueue_once", statement)
    if rows[0][2] in ("full", "locked"):
        raise refusal(refused, transaction.run(on, "read_queue_cap", cap_params(refused)))
    return _read(rows, refused)


def _split(params: Params) -> tuple[Params, Params]:
    return params["refused"], {name: value for name, value in params.items() if name != "refused"}


def _read(rows: Rows, params: Params) -> Found:
    if rows[0][2] == "conflict":
        raise AlreadyEnqueued(f"{params['task']}: job {rows[0][1]} is there already; nothing was enqueued")
    if rows[0][2] == "busy":
        raise TransactionError(
            f"{params['task']}: jobs with its key come and go faster than one is found; nothing was enqueued; try again"
        )
    return [(job_id, verdict == "created") for _, job_id, verdict in sorted(rows)]
