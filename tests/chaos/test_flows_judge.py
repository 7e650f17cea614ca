"""The judge finds what can be wrong with workflows and batches, in the books of some that really ran."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

import workrow
from tests.chaos import flows
from tests.chaos.facts import Facts
from tests.chaos.flows_judge import flows_unfinished, parts_wrong
from workrow import schema

KINDS = ("whole", flows.BROKEN, "batch")


@pytest.fixture(scope="module")
def books_url(cluster_url: str) -> Iterator[str]:
    from tests.conftest import new_database

    with new_database(cluster_url) as url:
        schema.upgrade(url)
        with psycopg.connect(url) as connection:
            connection.execute(Path(__file__).with_name("tables.sql").read_bytes())
        asyncio.run(_run(url))
        yield url


async def _run(url: str) -> None:
    """One of each kind, to its end."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    app = workrow.App(url, sessions=async_sessionmaker(engine)).include(flows.tasks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flows, "engine", engine)
        patch.setattr(flows, "slowness", lambda: 0)
        async with app.open_async():
            with psycopg.connect(url, autocommit=True) as connection:
                for kind in KINDS:
                    with connection.transaction():
                        flows.enqueue(connection, kind, kind, 2)
            await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
    await engine.dispose()


@pytest.fixture
def books(books_url: str) -> Iterator[psycopg.Connection]:
    """What a test does to them is rolled back."""
    with psycopg.connect(books_url) as connection:
        yield connection
        connection.rollback()


def found(conn: psycopg.Connection) -> list[str]:
    return sorted(flows_unfinished(conn, Facts()) + parts_wrong(conn, Facts()))


def test_all_is_well(books: psycopg.Connection) -> None:
    assert found(books) == []
    traces = dict(books.execute("SELECT flow, count(*) FROM chaos.parts GROUP BY flow").fetchall())
    # broken: three parts, each undone, and the end; a batch: two, one that was added, a plain one, and the end
    assert traces == {"whole": 8, flows.BROKEN: 7, "batch": 5}


@pytest.mark.parametrize(
    ("corruption", "wrong"),
    [
        ("INSERT INTO chaos.flows VALUES ('lost', 'whole', 2)", ["whole lost is there 0 times"]),
        ("UPDATE workrow.flows SET ended_at = NULL, state = 'running' WHERE name = 'whole'", ["(whole) is running"]),
        ("DELETE FROM chaos.flows WHERE flow = 'batch'", ["(batch) is of a transaction that was rolled back"]),
        ("UPDATE workrow.flows SET state = 'failed' WHERE name = 'whole'", ["whole whole has failed"]),
        (
            "INSERT INTO chaos.parts SELECT * FROM chaos.parts WHERE flow = 'whole' AND part = 'body'",
            ["whole: body ran as 1 jobs, with 2 effects"],
        ),
        (
            "INSERT INTO chaos.parts (flow, part, job_id, exact) VALUES ('batch', 'plain', 0, false)",
            ["batch: plain ran as 2 jobs"],
        ),
        ("DELETE FROM chaos.parts WHERE flow = 'whole' AND part = 'two 2'", ["whole: two 2 never ran"]),
        ("DELETE FROM chaos.parts WHERE part = 'ended failed'", ["broken: ended failed never ran"]),
        ("DELETE FROM chaos.parts WHERE part = 'undo first'", ["broken: undo first never ran"]),
        (
            "INSERT INTO chaos.parts (flow, part, job_id, exact) VALUES ('broken', 'body', 0, true)",
            ["broken: body ran, and should not have"],
        ),
        (
            "UPDATE chaos.parts SET number = number + 1000 WHERE flow = 'batch' AND part = 'part 0 more'",
            ["batch: part 0 more ran after the end"],
        ),
    ],
)
def test_what_is_wrong_is_found(books: psycopg.Connection, corruption: str, wrong: list[str]) -> None:
    books.execute(corruption.encode())
    told = found(books)
    assert told
    for words in wrong:
        assert any(words in line for line in told), told


def test_what_a_quarantined_job_leaves_undone_is_excused(books: psycopg.Connection) -> None:
    books.execute("DELETE FROM chaos.parts WHERE flow = 'broken' AND part LIKE 'undo%'")
    assert found(books)
    books.execute(
        "UPDATE workrow.history SET status = 'failed', quarantine = 'crashed 3 times', crashes = 3 "
        "WHERE task_name = 'chaos.flow.undo'"
    )
    assert found(books) == []
