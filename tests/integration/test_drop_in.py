"""procrastinate's shell on an app of ours: what docs/drop-in.md says of it."""

import asyncio
from typing import Any

import pytest
from procrastinate.shell import ProcrastinateShell

import workrow


async def test_procrastinates_shell_sees_history_and_brings_a_failed_job_back(
    open_app: workrow.App, conn: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    @open_app.task(name="works")
    async def works() -> None: ...

    @open_app.task(name="fails")
    async def fails() -> None:
        raise ValueError

    await works.enqueue(None)
    failed = await fails.enqueue(None)
    await open_app.run_worker_async(wait=False, install_signal_handlers=False)
    waits = await works.options(delay=3600).enqueue(None)
    loop = asyncio.get_running_loop()

    class Shell(ProcrastinateShell):
        def async_to_sync(self, coro: Any, **kwargs: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coro(**kwargs), loop).result()

    async def told(line: str) -> str:
        capsys.readouterr()
        await asyncio.to_thread(Shell(open_app.job_manager).onecmd, line)
        return capsys.readouterr().out

    listed = await told("list_jobs details")
    assert "works on default - [succeeded]" in listed
    assert f"#{failed.id} fails on default - [failed]" in listed
    assert "works on default - [todo]" in listed
    assert "failed: 1" in await told("list_tasks task=fails")
    await told(f"cancel {waits.id}")
    assert await waits.status() == "cancelled"
    await told(f"retry {failed.id}")
    assert await failed.status() == "todo"
