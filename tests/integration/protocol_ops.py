"""What workers, producers and outsiders do, by the statements of `workrow/sql`, and what each does to the model."""

from typing import Any

from psycopg.types.json import Jsonb

from tests.integration.protocol import MAX_CRASHES, Claim, Job, Op, Rows
from tests.integration.protocol_flows import Flows

MAX_ROWS = 1000


class Model(Flows):
    """Makes an `Op` for each thing that can be done."""

    # producers and outsiders

    def enqueue(self, lock: str | None, queueing_lock: str | None, *, later: bool) -> Op:
        """``later``: scheduled for tomorrow."""

        def apply(rows: Rows, alone: bool) -> None:
            assert len(rows) == (0 if self.waiting(queueing_lock) else 1), "a queueing lock lets one job wait"
            for (id_,) in rows:
                self.jobs[id_] = Job(id_, lock, queueing_lock, "later" if later else "ready")

        text = self.load("enqueue_job").replace("%(at)s", "CASE WHEN %(later)s THEN now() + interval '1 d' END")
        params = {"queue": "q", "task": "t", "priority": 0, "lock": lock, "queueing_lock": queueing_lock}
        return Op(
            "enqueue",
            [(text, {**params, "args": Jsonb({}), "later": later, "lines": None, "delay": None, "version": None})],
            apply,
        )

    def a_day_passes(self) -> Op:
        """What was scheduled is due; what nobody owned is rescued by the next who looks. Workers have beaten."""

        def apply(rows: Rows, alone: bool) -> None:
            for job in self.jobs.values():
                job.when = "due" if job.when == "later" else job.when
                job.forsaken = job.status == "doing" and job.worker is None

        text = """
            UPDATE procrastinate_jobs
            SET
                started_at = CASE WHEN worker_id IS NULL THEN started_at - interval '1 day' ELSE started_at END,
                scheduled_at = CASE WHEN scheduled_at > now() THEN now() ELSE scheduled_at END
            RETURNING id
        """
        return Op("a day passes", [(text, {})], apply)

    def stage(self) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            due = [job.id for job in self.jobs.values() if job.status == "todo" and job.when == "due"]
            self._exactly(due, [row[0] for row in rows], due, alone)
            for (id_,) in rows:
                self.jobs[id_].when = "ready"

        return Op("stage", [(self.load("stage_jobs"), {"limit": MAX_ROWS})], apply)

    def cancel(self, job_id: int) -> Op:
        before = self.jobs[job_id].status

        def apply(rows: Rows, alone: bool) -> None:
            job = self.jobs[job_id]
            verdict = {"todo": "cancelled", "doing": "aborting"}.get(job.status)
            came_back = not alone and rows == [(None,)] and before not in ("todo", "doing")
            assert rows == [(verdict,)] or came_back, f"cancel says {rows}, not {verdict}"
            if rows[0][0] == "cancelled":
                job.status = "cancelled"
                self._tell(job)
            elif rows[0][0] == "aborting":
                job.abort = True

        return Op(f"cancel {job_id}", [(self.load("cancel_job"), {"id": job_id, "terminate": False})], apply)

    def retry_from_outside(self, job_id: int) -> Op:
        """What stock code calls, with nothing but the id: for a job that runs or has failed."""

        def apply(rows: Rows, alone: bool) -> None:
            job = self.jobs[job_id]
            if job.status == "failed":
                self._comes_back(job)
            elif job.abort:
                self._end(job, "failed")
            elif self.waiting(job.queueing_lock):
                self._end(job, "cancelled")
            else:
                assert job.status == "doing"
                job.status, job.when, job.attempts = "todo", "due", job.attempts + 1

        def excuse(alone: bool) -> bool:
            job = self.jobs[job_id]
            # beside a claim: the job that waited when this began is claimed when both have ended
            unfit = job.status not in ("doing", "failed") or (not alone and job.status == "doing")
            return unfit or (job.status == "failed" and self.waiting(job.queueing_lock))

        text = "SELECT procrastinate_retry_job_v2(%(id)s, now(), NULL, NULL, NULL)"
        return Op(f"retry {job_id} from outside", [(text, {"id": job_id})], apply, excuse)

    def release_from_quarantine(self, job_id: int) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            job = self.jobs[job_id]
            assert rows == [(job_id if job.quarantined else None,)]
            if job.quarantined:
                self._comes_back(job, counted=False)
                job.when = "ready"

        def excuse(alone: bool) -> bool:
            return not alone or self.waiting(self.jobs[job_id].queueing_lock)

        text = "SELECT workrow.release_job_v1(%(id)s)"
        return Op(f"release {job_id} from quarantine", [(text, {"id": job_id})], apply, excuse)

    # the life of a worker

    def register(self, *, stock: bool = False) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            ((worker,),) = rows
            assert worker not in self.workers + self.stock
            (self.stock if stock else self.workers).append(worker)
            self.leases[worker] = False

        if stock:
            return Op(
                "register (stock)", [("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id", {})], apply
            )
        described: dict[str, Any] = {"name": "w", "host": "h", "pid": 1, "queues": None, "concurrency": 1}
        params = {**described, "version": "0", "lease": 20.0, "tasks": ["t"]}
        return Op("register", [(self.load("register_worker"), params)], apply)

    def beat(self, worker: int) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            assert rows == ([(worker,)] if worker in self.leases else []), "a beat tells whether the lease is gone"
            if rows:
                self.leases[worker] = False

        return Op(
            f"beat of {worker}",
            [(self.load("update_heartbeat"), {"worker_id": worker, "refused": 0, "stopping": False})],
            apply,
        )

    def fall_silent(self, worker: int) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            if rows:
                self.leases[worker] = True

        text = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 d' WHERE id = %(id)s RETURNING id"
        return Op(f"silence of {worker}", [(text, {"id": worker})], apply)

    def unregister(self, worker: int) -> Op:
        """Also somebody's DELETE under a worker that holds jobs: they are nobody's then."""

        def apply(rows: Rows, alone: bool) -> None:
            assert rows == ([(worker,)] if worker in self.leases else [])
            if self.leases.pop(worker, None) is None:
                return
            for job in self.running():
                if job.worker == worker and (alone or job.id not in self.fresh):
                    job.worker, job.forsaken = None, False

        return Op(f"end of {worker}", [(self.load("unregister_worker"), {"worker_id": worker})], apply)

    def rescue(self, max_rows: int = MAX_ROWS) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            lost = sorted(job.id for job in self.running() if self.lost(job))
            self._exactly(lost[:max_rows], [row[0] for row in rows], lost, alone)
            for job_id, *_, verdict in rows:
                job = self.jobs[job_id]
                if not alone and (job.queueing_lock or job.node) and verdict == "held":
                    continue  # somebody has taken its queueing lock, or holds its workflow, and has not committed
                assert verdict == self._crash(job, job.crashes == 0 or job.marked == job.claims)
            held = {job.worker for job in self.running()}
            if alone:
                self.leases = {id_: silent for id_, silent in self.leases.items() if not silent or id_ in held}
            self.leases_unsure = not alone

        params = {"max_crashes": MAX_CRASHES, "max_rows": max_rows}
        return Op("rescue", [(self.load("rescue_jobs_at_once"), params)], apply)

    # claims

    def claim(self, statement: str, worker: int, limit: int) -> Op:
        """One of the ``claim_*`` statements, by a worker that may have lost its lease without knowing."""
        locked = statement == "claim_locked_jobs"
        if statement == "claim_mixed_jobs":
            limit = 1000  # in an order that the model does not know

        def apply(rows: Rows, alone: bool) -> None:
            if locked:
                rows = [row[1:] for row in rows if row[1] is not None]
            possible = [
                job.id
                for job in self.jobs.values()
                if job.status == "todo" and job.when == "ready" and (job.lock is not None) == locked
            ]
            self._exactly(self.claimable()[locked][:limit], [row[0] for row in rows], possible, alone)
            # an UPDATE returns rows in no particular order
            for row in sorted(rows):
                self._claimed(row[0], worker, row[9])

        params = {
            "worker_id": worker,
            "tasks": ["t"],
            "signatures": [],
            "queue": "q",
            "queues": None,
            "priority": 0,
            "limit": limit,
        }
        params["paused"] = []
        params |= {"after": "" if locked else 0, "keys": 1000, "ids": list(self.jobs)}
        # two claims of two jobs with the same lock: the unique index lets one of them through
        return Op(f"{statement} by {worker}", [(self.load(statement), params)], apply, lambda alone: not alone)

    def claim_by_stock_code(self, worker: int) -> Op:
        """procrastinate's fetch, which counts no claim: only the owner tells its claims from others'."""

        def apply(rows: Rows, alone: bool) -> None:
            for job in self.jobs.values():
                if job.status == "todo" and job.when == "due":
                    job.when = "ready"
            unlocked, heads = self.claimable()
            first = min(unlocked + heads, default=None)
            assert rows[0][0] == first
            if first is not None:
                self._claimed(first, worker, rows[0][1], counted=False)

        text = "SELECT id, claims FROM procrastinate_fetch_job_v2(NULL, %(worker)s)"
        return Op(f"stock fetch by {worker}", [(text, {"worker": worker})], apply)

    # jobs in a worker's hands, or no longer

    def mark(self, claim: Claim) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            for job in self._accepted([claim], rows, alone):
                job.marked = claim.token

        return Op(f"mark {claim}", [(self.load("mark_job"), _one(claim))], apply)

    def progress(self, claims: list[Claim]) -> Op:
        """It waits for nobody: beside another transaction a job may be left out."""

        def apply(rows: Rows, alone: bool) -> None:
            said = {row[0] for row in rows}
            list(self._accepted([claim for claim in claims if alone or claim.job in said], rows, alone))

        params = _many(claims)
        owners, words = [params.pop("worker_id")] * len(claims), ['{"done": 1}'] * len(claims)
        text = self.load("progress_jobs")
        return Op(f"progress {claims}", [(text, {**params, "owners": owners, "progresses": words})], apply)

    def finish(self, claims: list[Claim], status: str) -> Op:
        """The ends of some claims of one worker; ``status``: how, or "quarantined", or "deleted"."""

        def apply(rows: Rows, alone: bool) -> None:
            # what all of them end is told at once, one workflow after the other
            accepted = self._accepted(claims, rows, alone, lambda job: status != "deleted" or job.node is None)
            for job in sorted(accepted, key=lambda job: (job.node.flow, job.node.number) if job.node else (0, 0)):
                job.quarantined = status == "quarantined"
                self._end(job, "failed" if job.quarantined else status, counted=not job.quarantined)

        if status == "deleted":
            return Op(f"delete {claims}", [(self.load("delete_finished_jobs"), _many(claims))], apply)
        given = {"statuses": ["failed" if status == "quarantined" else status] * len(claims), "results": []}
        given |= {"errors": [], "quarantines": ["unreadable"] * len(claims) if status == "quarantined" else []}
        given |= {"progresses": []}
        times = {"waited": [0.0] * len(claims), "lasted": [1.0] * len(claims)}
        params = {**_many(claims), **given, **times, "worker": "w"}
        return Op(f"finish {claims}: {status}", [(self.load("finish_jobs"), params)], apply)

    def finish_with_effect(self, claim: Claim) -> Op:
        """A transactional task: what it did and its end commit together or not at all."""

        def apply(rows: Rows, alone: bool) -> None:
            for job in self._accepted([claim], rows, alone, skips=True):
                self._end(job, "succeeded")
                job.effects += 1

        effect = ("INSERT INTO protocol_effects (job_id) VALUES (%(id)s)", {"id": claim.job})
        params = {**_one(claim), "worker": "w", "waited": 0.0, "result": None, "error": None}
        params |= {"progress": None, "keep": True}
        return Op(
            f"transaction of {claim}", [effect, (self.load("finish_transactional_job"), params)], apply, fenced=True
        )

    def retry(self, claims: list[Claim], seconds: float) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            for job in self._accepted(claims, rows, alone, lambda job: not job.abort and self._may_wait(job)):
                job.status, job.when, job.attempts = "todo", "later" if seconds else "due", job.attempts + 1

        nothing = [None] * len(claims)
        params = {**_many(claims), "worker": "w", "seconds": [seconds] * len(claims), "priorities": nothing}
        params |= {"queues": nothing, "locks": nothing, "errors": ["{}"] * len(claims), "times": nothing}
        params |= {"progresses": [], "ran": [0.0] * len(claims)}
        return Op(f"retry {claims}", [(self.load("retry_jobs"), params)], apply, self._crowded(claims))

    def snooze(self, claims: list[Claim]) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            for job in self._accepted(claims, rows, alone, lambda job: not job.abort and self._may_wait(job)):
                job.status, job.when = "todo", "later"

        params = {**_many(claims), "seconds": [3600.0] * len(claims), "times": [None] * len(claims)}
        return Op(f"snooze {claims}", [(self.load("snooze_jobs"), params)], apply, self._crowded(claims))

    def give_back(self, claims: list[Claim]) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            for job in self._accepted(claims, rows, alone, lambda job: self._may_wait(job)):
                job.status, job.abort = "todo", False

        return Op(f"release {claims}", [(self.load("release_jobs"), _many(claims))], apply, self._crowded(claims))

    def supersede(self, claims: list[Claim], *, failed: bool) -> Op:
        """For what was refused to wait again; ``failed``: an attempt had failed, which counts."""

        def apply(rows: Rows, alone: bool) -> None:
            for job in self._accepted(claims, rows, alone, lambda job: self.waiting(job.queueing_lock)):
                self._end(job, "cancelled")
                job.attempts += failed

        params = {**_many(claims), "errors": ["{}"] * len(claims) if failed else [], "ran": [0.0] * len(claims)}
        return Op(f"supersede {claims}", [(self.load("supersede_jobs"), params)], apply)

    def crash(self, claim: Claim) -> Op:
        def apply(rows: Rows, alone: bool) -> None:
            for job in self._accepted([claim], rows, alone):
                assert rows[0][1] == self._crash(job, True)

        params = {**_one(claim), "max_crashes": MAX_CRASHES, "cause": "killed by SIGKILL", "pause": 0.0}
        return Op(f"crash {claim}", [(self.load("crash_job"), params)], apply)

    def _may_wait(self, job: Job) -> bool:
        return not self.waiting(job.queueing_lock)

    def _crowded(self, claims: list[Claim]) -> Any:
        """Two of one batch under the same queueing lock, or one that another transaction put there: then one by one."""
        locks = [lock for job in {claim.job for claim in claims} if (lock := self.jobs[job].queueing_lock)]
        return lambda alone: len(locks) > (len(set(locks)) if alone else 0)


def _one(claim: Claim) -> dict[str, Any]:
    return {"id": claim.job, "worker_id": claim.worker, "token": claim.token}


def _many(claims: list[Claim]) -> dict[str, Any]:
    return {
        "ids": [claim.job for claim in claims],
        "tokens": [claim.token for claim in claims],
        "worker_id": claims[0].worker,
    }
