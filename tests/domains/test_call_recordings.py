"""Recordings: whole and right on disk, or not at all; and gone when their time is over."""

import hashlib
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

import workrow
from jobs import database
from jobs.calls import orders, recording_tasks, service
from jobs.calls.provider import RecordingOf, Report
from jobs.calls.states import State
from jobs.settings import get_settings
from tests.domains.calling import small_app
from tests.domains.conftest import scalar
from tests.domains.provider_server import ProviderServer
from workrow.testing import Clock, Harness

pytestmark = pytest.mark.usefixtures("provider", "application")
SOUND = os.urandom(300_000)


@pytest.fixture
def workrow_app(environment: dict[str, str]) -> workrow.App:
    return small_app()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


async def completed(provider: ProviderServer, sha256: str | None = None) -> int:
    """A call that has ended, with a recording at the provider, which the end tells of."""
    async with database.session() as session, session.begin():
        call = (await orders.schedule(session, phone="+4930123456", time_zone="Europe/Berlin")).call
        await service.move(session, call.id, State.DIALING, cause="job")
        recording = RecordingOf(id="rec-1", sha256=sha256 or hashlib.sha256(SOUND).hexdigest())
        end = Report(status=State.COMPLETED, recording=recording)
        for _ in range(2):
            await service.apply(session, call.id, end, cause="event")
    provider.recordings.setdefault("rec-1", ("audio/mpeg", SOUND, None))
    return call.id


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


async def test_a_recording_is_fetched_once_and_whole(
    workrow_jobs: Harness, provider: ProviderServer, directory: Path, conn: psycopg.Connection[Any]
) -> None:
    call_id = await completed(provider)
    await workrow_jobs.assert_enqueued(recording_tasks.fetch, args={"call_id": call_id}, count=1)
    await workrow_jobs.drain()
    assert files(directory) == [f"call-{call_id}.mp3"]
    assert (directory / f"call-{call_id}.mp3").read_bytes() == SOUND
    assert conn.execute("SELECT file, size, stored_at IS NOT NULL FROM call_recordings").fetchall() == [
        (f"call-{call_id}.mp3", len(SOUND), True)
    ]
    await recording_tasks.fetch.enqueue(None, call_id=call_id)
    await workrow_jobs.drain()
    assert provider.requests.count("GET /recordings/rec-1") == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (("text/html", b"<html>", None), "its type is 'text/html'"),
        (("audio/mpeg", b"", 5_000_000), "it has 5000000 bytes"),
        (("audio/mpeg; charset=x", os.urandom(1_200_000), None), "bytes"),
    ],
)
async def test_what_is_no_recording_that_we_keep_is_refused_for_good(
    workrow_jobs: Harness,
    provider: ProviderServer,
    directory: Path,
    conn: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[str, bytes, int | None],
    words: str,
) -> None:
    monkeypatch.setenv("WORKROW_RECORDING_MAX_MB", "1")
    get_settings.cache_clear()
    provider.recordings["rec-1"] = answer
    call_id = await completed(provider)
    *_, ran = await workrow_jobs.drain(raise_on_failure=False)
    assert (ran.status, files(directory)) == ("failed", [])
    assert words in scalar(conn, "SELECT refused FROM call_recordings")
    await recording_tasks.fetch.enqueue(None, call_id=call_id)
    await workrow_jobs.drain()
    assert provider.requests.count("GET /recordings/rec-1") == 1


async def test_a_size_that_nobody_announced_is_bounded_too(
    workrow_jobs: Harness,
    provider: ProviderServer,
    directory: Path,
    conn: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORKROW_RECORDING_MAX_MB", "1")
    get_settings.cache_clear()
    provider.unannounced = True
    provider.recordings["rec-1"] = ("audio/mpeg", os.urandom(1_200_000), None)
    await completed(provider)
    await workrow_jobs.drain(raise_on_failure=False)
    assert "more than 1000000 bytes" in scalar(conn, "SELECT refused FROM call_recordings")
    assert files(directory) == []


@pytest.mark.parametrize("damage", ["another", "cut"])
async def test_a_damaged_recording_is_fetched_again(
    workrow_jobs: Harness, workrow_clock: Clock, provider: ProviderServer, directory: Path, damage: str
) -> None:
    content, length = (b"x" * 10, None) if damage == "another" else (SOUND[:1000], len(SOUND))
    provider.recordings["rec-1"] = ("audio/mpeg", content, length)
    with workrow_clock.at("2027-05-03 12:00") as clock:
        call_id = await completed(provider)
        *_, ran = await workrow_jobs.drain(raise_on_failure=False)
        assert (ran.status, files(directory)) == ("todo", [])
        provider.recordings["rec-1"] = ("audio/mpeg", SOUND, None)
        await clock.run_for(seconds=30)
    assert (directory / f"call-{call_id}.mp3").read_bytes() == SOUND


async def test_a_recording_that_the_provider_has_no_more_ends_the_job(
    workrow_jobs: Harness, provider: ProviderServer
) -> None:
    await completed(provider)
    provider.recordings.clear()
    *_, ran = await workrow_jobs.drain(raise_on_failure=False)
    assert (ran.status, (ran.error or {})["message"]) == ("failed", "the provider has no recording rec-1")


async def test_recordings_expire_file_and_row(
    workrow_jobs: Harness,
    workrow_clock: Clock,
    provider: ProviderServer,
    directory: Path,
    conn: psycopg.Connection[Any],
) -> None:
    with workrow_clock.at("2027-05-03 12:00") as clock:
        await completed(provider)
        await workrow_jobs.drain()
        clock.jump(days=89)
        young = await completed(provider)
        await recording_tasks.expire.enqueue(None)
        await workrow_jobs.drain()
        assert len(files(directory)) == 2
        clock.jump(days=2)
        (directory / "call-9-abc.part").write_bytes(b"half")  # of a worker that has died
        os.utime(directory / "call-9-abc.part", (0, 0))
        (directory / "call-8-abc.part").write_bytes(b"just now")
        await recording_tasks.expire.enqueue(None)
        *_, ran = await workrow_jobs.drain()
    assert ran.result == 1
    assert files(directory) == [f"call-{young}.mp3", "call-8-abc.part"]
    assert conn.execute("SELECT call_id FROM call_recordings").fetchall() == [(young,)]
    assert scalar(conn, "SELECT count(*) FROM calls") == 2


async def test_a_row_stays_as_long_as_its_file_cannot_be_deleted(
    workrow_jobs: Harness, provider: ProviderServer, directory: Path, conn: psycopg.Connection[Any]
) -> None:
    call_id = await completed(provider)
    await workrow_jobs.drain()
    other = await completed(provider)
    await workrow_jobs.drain()
    (directory / f"call-{call_id}.mp3").unlink()
    (directory / f"call-{call_id}.mp3").mkdir()  # what `unlink` refuses, also for root
    conn.execute("UPDATE call_recordings SET stored_at = now() - interval '1 year'")
    await recording_tasks.expire.enqueue(None)
    *_, ran = await workrow_jobs.drain(raise_on_failure=False)
    assert ran.status == "todo"
    assert conn.execute("SELECT call_id FROM call_recordings").fetchall() == [(call_id,)]
    assert files(directory) == [f"call-{call_id}.mp3"]
    assert not (directory / f"call-{other}.mp3").exists()


async def test_a_file_that_has_gone_before_does_not_keep_its_row(
    workrow_jobs: Harness, provider: ProviderServer, directory: Path, conn: psycopg.Connection[Any]
) -> None:
    call_id = await completed(provider)
    await workrow_jobs.drain()
    (directory / f"call-{call_id}.mp3").unlink()
    conn.execute("UPDATE call_recordings SET stored_at = now() - interval '1 year'")
    await recording_tasks.expire.enqueue(None)
    await workrow_jobs.drain()
    assert scalar(conn, "SELECT count(*) FROM call_recordings") == 0
