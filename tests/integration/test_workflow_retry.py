"""What a retry of a workflow does anew, and when it cannot be."""

from typing import Any

import pytest

import workrow
from tests.integration.test_worker import run

ENQUEUE_ANEW = "; enqueue the workflow anew$"


class Trouble:
    """Tasks that fail until they are mended, and what they were called with."""

    def __init__(self, app: workrow.App) -> None:
        self.broken = True
        self.calls: list[tuple[Any, ...]] = []

        @app.task(name="shaky")
        async def shaky(x: Any = None) -> Any:
            self.calls.append(("shaky", x))
            if self.broken:
                raise ValueError("broken")
            return f"{x}!"

        @app.task(name="note")
        async def note(what: str, given: Any = None) -> str:
            self.calls.append((what, given))
            return what

        @app.task(name="split")
        async def split() -> Any:
            self.calls.append(("split",))
            return workrow.chain(shaky.s("part"))

        @app.task(name="odd")
        async def odd(x: Any = None) -> Any:
            self.calls.append(("odd", x))
            return object()

        self.shaky, self.note, self.split, self.odd = shaky, note, split, odd

    def called(self) -> list[tuple[Any, ...]]:
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
def trouble(open_app: workrow.App) -> Trouble:
    return Trouble(open_app)


async def failed(app: workrow.App, flow: Any) -> workrow.Workflow[Any]:
    workflow: workrow.Workflow[Any] = await flow.enqueue(None)
    await run(app)
    assert (await workflow.status()).state == "failed"
    return workflow


async def mended(app: workrow.App, trouble: Trouble, workflow: workrow.Workflow[Any]) -> Any:
    trouble.broken = False
    trouble.called()
    assert await workflow.retry() == "running"
    await run(app)
    return await workflow.result(timeout=5)


@pytest.mark.parametrize("later", [False, True])
async def test_a_job_whose_result_was_not_kept_does_not_run_again(
    open_app: workrow.App, conn: Any, trouble: Trouble, later: bool
) -> None:
    head = [trouble.shaky.s(1)] if later else []
    trouble.broken = False
    workflow = await failed(open_app, workrow.chain([*head, trouble.odd.s(), trouble.shaky.s()]))
    [(job_id,)] = conn.execute("SELECT id FROM workrow.jobs WHERE task = 'odd'").fetchall()
    why = rf"its job {job_id} \(odd, node {int(later)}\) has succeeded, and will not run again, but its result was not "
    said = f"^workflow {workflow.id} cannot be retried: {why}kept: .*{ENQUEUE_ANEW}"
    with pytest.raises(workrow.WorkflowError, match=said):
        await workflow.retry()
    assert (await workflow.status()).state == "failed"


async def test_a_retry_of_a_job_names_the_job_of_its_workflow_that_was_deleted(
    open_app: workrow.App, conn: Any, trouble: Trouble
) -> None:
    flow = workrow.group(trouble.shaky.s(1), trouble.shaky.s(2)).if_failed("continue")
    workflow = await flow.enqueue(None)
    one, other = (row[0] for row in conn.execute("SELECT id FROM procrastinate_jobs ORDER BY id").fetchall())
    conn.execute("DELETE FROM procrastinate_jobs WHERE id = %s", [one])
    await run(open_app)
    conn.execute("SELECT workrow.sweep_workflows_v1()")
    assert (await workflow.status()).state == "failed"
    job: workrow.Job[Any] = open_app.job(other)
    why = rf"its job {one} \(shaky, node 0\) was deleted, and its arguments with it"
    said = f"^the workflow of job {other} cannot be retried: {why}{ENQUEUE_ANEW}"
    with pytest.raises(workrow.WorkflowError, match=said):
        await job.retry()
    assert await job.status() == "failed"


async def test_callbacks_of_what_runs_again_are_called_again(open_app: workrow.App, trouble: Trouble) -> None:
    note = trouble.note
    first = trouble.shaky.s(1).on_success(note.si("good")).on_failure(note.si("bad")).on_complete(note.si("over"))
    flow = workrow.chain(first, note.s().on_success(note.si("later"))).on_complete(note.si("whole"))
    workflow = await failed(open_app, flow)
    assert sorted(each[0] for each in trouble.called()) == ["bad", "over", "shaky", "whole"]
    await mended(open_app, trouble, workflow)
    assert sorted(each[0] for each in trouble.called()) == ["1!", "good", "later", "over", "shaky", "whole"]


async def test_what_a_workflow_took_the_place_of_does_not_run_again(open_app: workrow.App, trouble: Trouble) -> None:
    workflow = await failed(open_app, workrow.chain(trouble.split.s(), trouble.shaky.s()))
    assert trouble.called() == [("split",), ("shaky", "part")]
    assert await mended(open_app, trouble, workflow) == "part!!"
    assert trouble.called() == [("shaky", "part"), ("shaky", "part!")]


async def test_a_failure_after_a_failure_waits_for_it(open_app: workrow.App, trouble: Trouble) -> None:
    workflow = await failed(open_app, workrow.chain(trouble.shaky.s(1), trouble.shaky.s()).if_failed("continue"))
    assert trouble.called() == [("shaky", 1), ("shaky", None)]
    assert await mended(open_app, trouble, workflow) == "1!!"
    assert trouble.called() == [("shaky", 1), ("shaky", "1!")]


async def test_a_callback_that_failed_runs_again_alone(open_app: workrow.App, conn: Any, trouble: Trouble) -> None:
    await failed(open_app, workrow.chain(trouble.shaky.s(1), trouble.shaky.s()).on_failure(trouble.shaky.si("told")))
    [(job_id,)] = conn.execute("SELECT max(id) FROM workrow.jobs").fetchall()
    trouble.broken = False
    trouble.called()
    assert await open_app.job(job_id).retry() == "queued"
    await run(open_app)
    assert trouble.called() == [("shaky", "told")]


RETRY_BY_HAND = "SELECT procrastinate_retry_job_v2(%s, NULL, NULL, NULL, NULL)"


@pytest.mark.parametrize("meanwhile", ["failed", "todo", "doing", "succeeded"])
async def test_a_job_that_somebody_retried_by_hand_is_its_nodes_again(
    open_app: workrow.App, conn: Any, trouble: Trouble, meanwhile: str
) -> None:
    workflow = await failed(open_app, workrow.chain(trouble.shaky.s(1), trouble.note.s()))
    [(job_id,)] = conn.execute("SELECT job_id FROM workrow.workflow_nodes WHERE state = 'failed'").fetchall()
    conn.execute(RETRY_BY_HAND, [job_id])
    if meanwhile == "doing":
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = %s", [job_id])
    elif meanwhile != "todo":
        trouble.broken = meanwhile == "failed"
        await run(open_app)
    assert (await workflow.status()).state == "failed"  # it ran alone
    assert await workflow.retry() == "running"
    if meanwhile != "succeeded":
        # told by the end itself: no sweep runs here
        conn.execute("SELECT workrow.end_job_v1(%s, '{todo,doing}', 'failed')", [job_id])
        assert (await workflow.status()).state == "failed"
    trouble.broken = False
    if meanwhile != "succeeded":
        assert await workflow.retry() == "running"
    await run(open_app)
    assert await workflow.result(timeout=5) == "1!"
    ran = [each for each in trouble.called() if each[0] == "shaky"]
    assert len(ran) == {"failed": 3, "todo": 2, "doing": 2, "succeeded": 2}[meanwhile]
