"""Write one batch of outcomes: a statement for each way in which jobs end."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from workrow.database.held import Held
from workrow.database.link import Link
from workrow.logs import get_logger
from workrow.worker.arrays import literal, seconds_until, unless_all_null
from workrow.worker.outcome import Outcome, unwritten

logger = get_logger(__name__)

RACES = 3
"""How often an outcome may lose a race with jobs that come and go under its queueing lock."""

ENDS = ("succeeded", "aborted")
"""Ends that no failure hook is called of."""
BAD = {"failed": "failed", "expired": "cancelled"}
"""Outcomes of which a failure hook may be called, and their statuses. Those that are not to be kept are in history for
a moment, whose trigger calls it; the others never."""


class Writer:
    """Writes outcomes of one worker.

    Args:
        link: where the statements run.
        worker: the worker's name, for the history.
        max_crashes: so many crashes put a job into quarantine.
        deletes: whether a job that ended with this status is deleted instead of kept.

    Attributes:
        done: the ids of the jobs whose rows have taken their outcome, since it was last cleared.
    """

    def __init__(self, link: Link, worker: str | None, max_crashes: int, deletes: Callable[[str], bool]) -> None:
        self._link = link
        self._worker = worker
        self._max_crashes = max_crashes
        self._deletes = deletes
        self.done: set[int] = set()

    async def write(self, batch: list[Outcome]) -> None:
        """Write a batch, in one statement for each way to end; `done` has then the jobs that were still ours.

        Raises:
            psycopg.Error: PostgreSQL refuses an outcome, or the connection is lost; some may be written.
        """
        kept: list[Outcome] = []
        deleted: list[Outcome] = []
        again: list[Outcome] = []
        back: list[Outcome] = []
        snoozed: list[Outcome] = []
        expired: list[Outcome] = []
        aborting: list[Outcome] = []
        done = self.done
        unkept = [status for status in ENDS if self._deletes(status)]
        for outcome in batch:
            if outcome.status == "todo":
                (again if outcome.retry else back).append(outcome)
            elif outcome.status == "snoozed":
                snoozed.append(outcome)
            elif outcome.flow is not None:
                done |= await self._replace(outcome)
            elif outcome.status == "crashed":
                done |= await self._crash(outcome)
            elif outcome.status == "expired":
                expired.append(outcome)
            else:
                (deleted if outcome.status in unkept and outcome.sequel is None else kept).append(outcome)
        if again:
            await self._send_back(again, self._retry)
            # a retry is refused as well when the job was asked to abort: it then ends
            refused = await self._asked_to_abort(again)
            aborting = [Outcome(each.claimed, "failed", error=each.error, ended_at=each.ended_at) for each in refused]
        if snoozed:
            await self._send_back(snoozed, self._snooze)
            refused = await self._asked_to_abort(snoozed)
            aborting += [Outcome(each.claimed, "aborted", ended_at=each.ended_at) for each in refused]
        if kept or aborting:
            kept += aborting
            done |= await self._finish(kept)
        for each in aborting:
            if each.claimed.id in done:
                text = "%s: it was asked to abort meanwhile, and ends as %s instead of waiting again"
                logger.warning(text, each.claimed, each.status)
        if expired:
            done |= await self._ids("expire_jobs", expired)
        if deleted:
            done |= await self._delete(deleted)
        await self._forget(deleted, [*kept, *expired])
        if back:
            await self._send_back(back, partial(self._ids, "release_jobs"))
            await self._link.run("notify_queues", queues=sorted({each.claimed.queue for each in back}))

    async def _replace(self, outcome: Outcome) -> set[int]:
        """A workflow takes its place; where somebody holds its row, later."""
        claimed = outcome.claimed
        whose = {"id": claimed.id, "worker_id": claimed.owner, "token": claimed.token, "worker": self._worker}
        rows = await self._link.run("replace_job", **whose, **(outcome.flow or {}))
        if not rows and await self._link.run("probe_jobs", ids=literal([str(claimed.id)])):
            raise Held("an open transaction holds its row")
        return {row[0] for row in rows}

    async def _delete(self, outcomes: list[Outcome]) -> set[int]:
        """Those that other jobs wait for are kept all the same."""
        done = await self._ids("delete_finished_jobs", outcomes)
        called = [each for each in outcomes if each.claimed.id not in done]
        return done | await self._finish(called) if called else done

    async def _forget(self, deleted: list[Outcome], ended: list[Outcome]) -> None:
        """What is not to be kept of jobs that have ended: rows that only their failure hooks needed, and steps."""
        done = self.done
        bad = [each for each in ended if (each.status in BAD or each.sequel) and self._deletes(_kept_as(each))]
        if bad:
            await self._link.run("forget_jobs", ids=[each.claimed.id for each in bad if each.claimed.id in done])
        if stepped := [each.claimed.id for each in (*deleted, *bad) if each.claimed.stepped]:
            await self._link.run("forget_steps", ids=[each for each in stepped if each in done])

    async def _finish(self, outcomes: list[Outcome]) -> set[int]:
        calls = [each for each in outcomes if each.sequel is not None]
        if not calls:
            return await self._finish_by("finish_jobs", outcomes)
        sequels = f"[{','.join(each.sequel or 'null' for each in calls)}]"
        done = await self._finish_by("finish_calls", calls, sequels=sequels)
        plain = [each for each in outcomes if each.sequel is None]
        return done | await self._finish_by("finish_jobs", plain) if plain else done

    async def _finish_by(self, statement: str, outcomes: list[Outcome], **more: Any) -> set[int]:
        return await self._ids(
            statement,
            outcomes,
            worker=self._worker,
            statuses=literal(each.status for each in outcomes),
            results=unless_all_null([each.result for each in outcomes]),
            errors=unless_all_null([each.error for each in outcomes]),
            quarantines=unless_all_null([each.cause for each in outcomes]),
            progresses=unless_all_null([each.claimed.progress and unwritten(each.claimed) for each in outcomes]),
            waited=literal(f"{each.claimed.started_at - each.claimed.claimed_at:.6f}" for each in outcomes),
            lasted=literal(f"{each.ended_at - each.claimed.started_at:.6f}" for each in outcomes),
            **more,
        )

    async def _retry(self, outcomes: list[Outcome]) -> set[int]:
        decisions = [each.retry for each in outcomes if each.retry]
        return await self._ids(
            "retry_jobs",
            outcomes,
            worker=self._worker,
            seconds=seconds_until(decisions),
            times=[each.at for each in outcomes],
            priorities=[each.priority for each in decisions],
            queues=[each.queue for each in decisions],
            locks=[each.lock for each in decisions],
            errors=[each.error for each in outcomes],
            ran=_ran(outcomes),
            progresses=unless_all_null([each.claimed.progress and unwritten(each.claimed) for each in outcomes]),
        )

    async def _snooze(self, outcomes: list[Outcome]) -> set[int]:
        """Those that wait for a time, and those that wait for what their steps do."""
        timed = [each for each in outcomes if not each.waits]
        waiting = [each for each in outcomes if each.waits]
        done: set[int] = set()
        if timed:
            seconds = seconds_until([each.retry for each in timed if each.retry])
            done |= await self._ids("snooze_jobs", timed, seconds=seconds, times=[each.at for each in timed])
        if waiting:
            done |= await self._ids(
                "suspend_jobs",
                waiting,
                waits=[each.waits for each in waiting],
                progresses=unless_all_null([each.claimed.progress and unwritten(each.claimed) for each in waiting]),
            )
        return done

    async def _send_back(
        self, outcomes: list[Outcome], statement: Callable[[list[Outcome]], Awaitable[set[int]]]
    ) -> None:
        """Back to the queue, or, where a newer job waits under the same queueing lock, to an end in its favour."""
        left = outcomes
        for _ in range(RACES):
            self.done |= await statement(left)
            left = [
                each for each in left if each.claimed.id not in self.done and each.claimed.queueing_lock is not None
            ]
            if not left:
                return
            errors = unless_all_null([each.error for each in left])
            superseded = await self._ids("supersede_jobs", left, errors=errors, ran=_ran(left))
            self.done |= superseded
            if superseded:
                logger.info("jobs %s end: newer ones wait under their queueing locks", sorted(superseded))
            left = [each for each in left if each.claimed.id not in superseded]
            if not left:
                return
            # the newer one was there for the first statement, and gone for the second

    async def _asked_to_abort(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Those that were not sent back because they are to abort.

        Raises:
            Held: one was not sent back and is ours all the same: it lost its races, or a crash of the server took its
                claim, which was not synced, and we have claimed it once more, by the same number, since it was refused.
        """
        left = {each.claimed.id: each for each in outcomes if each.claimed.id not in self.done}
        if not left:
            return []
        rows = await self._rows("list_still_ours", [*left.values()])
        if not all(asked for _, asked in rows):
            raise Held("its row changes all the time")
        return [left[job_id] for job_id, _ in rows]

    async def _crash(self, outcome: Outcome) -> set[int]:
        claimed = outcome.claimed
        rows = await self._link.run(
            "crash_job",
            id=claimed.id,
            worker_id=claimed.owner,
            token=claimed.token,
            max_crashes=self._max_crashes,
            cause=outcome.cause,
            pause=seconds_until([outcome.retry])[0] if outcome.retry else 0.0,
        )
        for _, verdict in rows:
            logger.error("%s: crashed (%s): %s", claimed, outcome.cause, verdict)
        return {row[0] for row in rows}

    async def _ids(self, statement: str, outcomes: list[Outcome], **params: Any) -> set[int]:
        return {row[0] for row in await self._rows(statement, outcomes, **params)}

    async def _rows(self, statement: str, outcomes: list[Outcome], **params: Any) -> list[tuple[Any, ...]]:
        ids = literal(str(each.claimed.id) for each in outcomes)
        tokens = literal(str(each.claimed.token) for each in outcomes)
        return await self._link.run(statement, ids=ids, tokens=tokens, worker_id=outcomes[0].claimed.owner, **params)


def _kept_as(outcome: Outcome) -> str:
    """The status that its row has."""
    return BAD.get(outcome.status, outcome.status)


def _ran(outcomes: list[Outcome]) -> str:
    """Seconds from the claim to the end of each attempt."""
    return literal(f"{each.ended_at - each.claimed.claimed_at:.6f}" for each in outcomes)
