"""The judge finds each way in which the books can be wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos.app import RATE, TOTAL_LIMIT
from tests.chaos.facts import LATEST, Crash, Disturbance, Facts, Run, Shown
from tests.chaos.judge import INVARIANTS, judge
from tests.chaos.ticks import RECOVERY_SECONDS, arrivals, due_times
from workrow import schema

BEGAN = 1_700_000_000.0
ENDED = BEGAN + 60
JOBS = {
    1: "chaos.coroutine",
    2: "chaos.thread",
    3: "chaos.transactional",
    4: "chaos.locked",
    5: "chaos.locked",
    6: "chaos.flaky",
    7: "chaos.steps",
}


@pytest.fixture(scope="module")
def books_url(cluster_url: str) -> Iterator[str]:
    """A database of the suite's, empty."""
    from tests.conftest import new_database

    with new_database(cluster_url) as url:
        schema.upgrade(url)
        with psycopg.connect(url) as connection:
            connection.execute(Path(__file__).with_name("tables.sql").read_bytes())
        yield url


@pytest.fixture
def books(books_url: str) -> Iterator[psycopg.Connection]:
    """Books in which all is well; what a test does to them is rolled back."""
    with psycopg.connect(books_url) as connection:
        write(connection)
        yield connection
        connection.rollback()


def write(conn: psycopg.Connection) -> None:
    """An order, a job and an effect for each; ticks all the time."""
    for number, task in JOBS.items():
        key = f"k{number}"
        kind = task.removeprefix("chaos.")
        conn.execute("INSERT INTO chaos.orders (key, kind, producer) VALUES (%s, %s, 0)", [key, kind])
        finish(conn, number, task, f'{{"key": "{key}"}}', claims=2 if kind == "flaky" else 1)
        if kind in ("transactional", "locked"):
            conn.execute("INSERT INTO chaos.ledger (job_id, key) VALUES (%s, %s)", [number, key])
        else:
            conn.execute("INSERT INTO chaos.effects VALUES (%s, 0, %s, 1)", [number, key])
        if kind == "steps":
            conn.execute("INSERT INTO chaos.stepped (job_id) VALUES (%s)", [number])
            conn.execute(
                "INSERT INTO workrow.job_steps (job_id, name, kind, token) VALUES (%s, 'once', 'step', 1)", [number]
            )
            conn.execute(
                "INSERT INTO workrow.job_signals (job_id, name, value, taken_by) "
                "VALUES (%s, 'go', to_jsonb(%s::text), 'go')",
                [number, key],
            )
        if kind == "locked":
            conn.execute(
                """INSERT INTO chaos.holds
                   VALUES ('a', %s, now() + %s * interval '1 s', now() + %s * interval '1 s')""",
                [number, number, number + 1],
            )
    conn.execute(
        """INSERT INTO chaos.stays (place, most, job_id, began, ended)
           SELECT 'tenant 1', 2, n, now() + n * interval '1 s', now() + (n + 1.9) * interval '1 s'
           FROM generate_series(1, 3) AS n"""
    )
    for number, due in enumerate(range(int(BEGAN), int(ENDED), 2), 100):
        finish(conn, number, "chaos.tick", f'{{"timestamp": {due}}}', created=due + 0.1)
        conn.execute("INSERT INTO chaos.ticks VALUES (to_timestamp(%s), %s)", [due, number])


def finish(
    conn: psycopg.Connection, number: int, task: str, args: str, claims: int = 1, created: float | None = None
) -> None:
    conn.execute(
        """INSERT INTO workrow.history (
               id, queue_name, task_name, priority, args, status, attempts, worker, created_at, started_at, finished_at,
               claims, crashes
           )
           VALUES (%s, 'q', %s, 0, %s, 'succeeded', %s, 'w', coalesce(to_timestamp(%s), now() - interval '3 s'),
                   now() - interval '2 s', now() - interval '1 s', %s, 0)""",
        [number, task, args, claims, created, claims],
    )


def facts(**others: Any) -> Facts:
    acknowledged = {f"k{number}" for number in JOBS}
    return Facts(**{"acknowledged": acknowledged, "began": BEGAN, "ended": ENDED, **others})


def violated(conn: psycopg.Connection, known: Facts | None = None) -> list[str]:
    return [name for name, examples in judge(conn, known or facts()).items() if examples]


CORRUPTIONS: list[tuple[str, tuple[str, ...]]] = [
    ("INSERT INTO chaos.orders (key, kind, producer) VALUES ('k9', 'x', 0)", ("every committed order has its job",)),
    (
        "DELETE FROM workrow.history WHERE id = 1",
        ("every committed order has its job", "other effects once for each claim at most"),
    ),
    (
        'UPDATE workrow.history SET args = \'{"key": "rolled back"}\' WHERE id = 2',
        ("every committed order has its job", "no job of a rolled-back order, none twice"),
    ),
    (
        "INSERT INTO procrastinate_jobs (id, queue_name, task_name, args, status) "
        "VALUES (77, 'q', 'chaos.thread', '{\"key\": \"k2\"}', 'todo')",
        ("no job of a rolled-back order, none twice", "every job is done"),
    ),
    (
        "WITH gone AS (DELETE FROM chaos.orders WHERE key = 'k1') DELETE FROM workrow.history WHERE id = 1",
        ("what was committed stays (PostgreSQL)", "other effects once for each claim at most"),
    ),
    ("UPDATE workrow.history SET status = 'failed' WHERE id = 2", ("every job is done",)),
    ("UPDATE workrow.history SET status = 'cancelled' WHERE id = 1", ("every job is done",)),
    (
        "UPDATE workrow.history SET status = 'failed', quarantine = 'crashed 3 times', crashes = 3 WHERE id = 3",
        ("transactional effects exactly once",),
    ),
    ("INSERT INTO chaos.ledger (job_id, key) VALUES (3, 'k3')", ("transactional effects exactly once",)),
    ("INSERT INTO chaos.stepped (job_id) VALUES (7)", ("a step's effect once for its record, no signal lost",)),
    ("DELETE FROM chaos.stepped", ("a step's effect once for its record, no signal lost",)),
    ("DELETE FROM workrow.job_steps", ("a step's effect once for its record, no signal lost",)),
    (
        "UPDATE workrow.job_signals SET taken_by = NULL",
        ("a step's effect once for its record, no signal lost",),
    ),
    ("DELETE FROM chaos.ledger WHERE job_id = 4", ("transactional effects exactly once",)),
    ("INSERT INTO chaos.ledger (job_id, key) VALUES (999, 'k999')", ("transactional effects exactly once",)),
    ("UPDATE chaos.ledger SET key = 'k4' WHERE job_id = 3", ("transactional effects exactly once",)),
    ("INSERT INTO chaos.ticks SELECT due, 99 FROM chaos.ticks LIMIT 1", ("transactional effects exactly once",)),
    ("INSERT INTO chaos.effects VALUES (1, 1, 'k1', 1)", ("other effects once for each claim at most",)),
    ("DELETE FROM chaos.effects WHERE job_id = 6", ("other effects once for each claim at most",)),
    ("INSERT INTO chaos.effects VALUES (888, 0, 'k888', 1)", ("other effects once for each claim at most",)),
    ("UPDATE chaos.holds SET ended = ended + interval '1 s' WHERE job_id = 4", ("one holder of a lock at any time",)),
    (
        "UPDATE chaos.stays SET ended = ended + interval '1 s' WHERE job_id = 1",
        ("no more at a time than limits and unique keys allow",),
    ),
    (
        "INSERT INTO chaos.stays SELECT 'tenant 2', 99, n, now() + n * interval '10 ms', now() + n * interval '11 ms' "
        f"FROM generate_series(1, {RATE + TOTAL_LIMIT + 1}) AS n",
        ("no more in a second than a rate admits",),
    ),
    ("UPDATE chaos.holds SET began = began - interval '5 s' WHERE job_id = 5", ("one holder of a lock at any time",)),
    (
        "UPDATE workrow.history SET args = (SELECT args FROM workrow.history WHERE id = 120) WHERE id = 121",
        ("no due time twice", "no due time missed"),
    ),
    (
        "DELETE FROM workrow.history WHERE id = 125",
        ("no due time missed", "transactional effects exactly once"),
    ),
    ("DELETE FROM chaos.ticks WHERE job_id = 105", ("transactional effects exactly once",)),
    (
        "UPDATE workrow.history SET status = 'failed' WHERE id = 105",
        ("every job is done", "transactional effects exactly once"),
    ),
    (
        "INSERT INTO procrastinate_jobs (id, queue_name, task_name, args, status, created_at) "
        f"VALUES (900, 'q', 'chaos.tick', '{{\"timestamp\": {int(BEGAN) - 2}}}', 'todo', to_timestamp({BEGAN}))",
        ("every job is done",),
    ),
    (
        "UPDATE workrow.history SET args = jsonb_build_object('timestamp', (args ->> 'timestamp')::bigint + 3600) "
        "WHERE id = 129",
        ("ticks at due times, by the right clock",),
    ),
    (
        "UPDATE workrow.history SET args = jsonb_build_object('timestamp', (args ->> 'timestamp')::bigint - 3600) "
        "WHERE id = 129",
        ("ticks at due times, by the right clock",),
    ),
    (
        "UPDATE workrow.history SET args = jsonb_build_object('timestamp', (args ->> 'timestamp')::bigint - 1) "
        "WHERE id = 129",
        ("ticks at due times, by the right clock",),
    ),
    ("UPDATE workrow.history SET started_at = created_at - interval '1 s' WHERE id = 1", ("history complete",)),
    ("UPDATE workrow.history SET finished_at = now() + interval '1 h' WHERE id = 1", ("history complete",)),
    ("UPDATE workrow.history SET started_at = NULL WHERE id = 1", ("history complete",)),
    ("UPDATE workrow.history SET worker = NULL WHERE id = 1", ("history complete",)),
    (
        "INSERT INTO procrastinate_jobs (id, queue_name, task_name, args, status) "
        "VALUES (110, 'q', 'other', '{}', 'todo')",
        ("history complete",),
    ),
    (
        "INSERT INTO procrastinate_jobs (id, queue_name, task_name, args, status) "
        "VALUES (50, 'q', 'other', '{}', 'doing')",
        ("nothing stuck in doing",),
    ),
    ("INSERT INTO procrastinate_workers DEFAULT VALUES", ("no dead worker registered",)),
]


def test_it_finds_nothing_where_all_is_well(books: psycopg.Connection) -> None:
    assert violated(books) == []


@pytest.mark.parametrize(("corruption", "expected"), CORRUPTIONS)
def test_it_finds_what_is_wrong(books: psycopg.Connection, corruption: str, expected: tuple[str, ...]) -> None:
    books.execute(corruption.encode())
    found = violated(books)
    assert len(found) == len(expected)
    assert all(any(name.startswith(start) for name in found) for start in expected), found


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"exits": ["worker 1 ended by itself with code 0"]}, "no worker ended by itself"),
        ({"together": ["jobs [1, 2] ran together under a"]}, "one holder of a lock at any time"),
        ({"orphans": ["worker process 1 left behind 2"]}, "no child outlives its worker"),
        ({"acknowledged": {"k1", "gone"}}, "what was committed stays (PostgreSQL)"),
        ({"unsettled": ["after 45 s there were 1 jobs"]}, "every job is done"),
    ],
)
def test_it_finds_what_was_seen(books: psycopg.Connection, known: dict[str, Any], expected: str) -> None:
    assert violated(books, facts(**known)) == [expected]


def test_a_job_that_was_there_when_three_workers_died_is_excused(books: psycopg.Connection) -> None:
    books.execute(
        "UPDATE workrow.history SET status = 'failed', quarantine = 'crashed 3 times', crashes = 3, attempts = 0, "
        "worker = NULL WHERE id = 1"
    )
    assert violated(books) == []
    books.execute("UPDATE workrow.history SET crashes = 2 WHERE id = 1")
    assert violated(books) == ["every job is done"]


def test_due_times_are_owed_while_a_worker_is_undisturbed() -> None:
    all_of_them = list(due_times(facts()))
    assert all_of_them[0] == BEGAN + 4
    assert all_of_them[-1] == ENDED - 4
    one = [Disturbance(0, BEGAN, ENDED)]
    assert list(due_times(facts(disturbances=one))) == all_of_them
    each = [Disturbance(number, BEGAN, ENDED) for number in range(3)]
    assert list(due_times(facts(disturbances=each))) == []
    everybody = [Disturbance(None, BEGAN + 30, BEGAN + 31)]
    left = list(due_times(facts(disturbances=everybody)))
    assert left == [due for due in all_of_them if due + 2 <= BEGAN + 30 or due >= BEGAN + 31 + RECOVERY_SECONDS]


CRASH = Crash(100.0, 101.0)
MADE = 99.5
"""When a claim is made that this crash may take."""
COUNTED = "other effects once for each claim at most"


def run_twice(*made: float, claims: tuple[int, int] = (1, 1)) -> list[Run]:
    """Job 1 is started by two workers."""
    return [Run(1, claim, worker, at) for worker, (claim, at) in enumerate(zip(claims, made, strict=True))]


def test_an_effect_of_a_claim_that_a_crash_took_is_one_of_a_claim(books: psycopg.Connection) -> None:
    twice = facts(crashes=[CRASH], runs=run_twice(MADE, 102.0))
    books.execute("INSERT INTO chaos.effects VALUES (1, 0, 'k1', 1)")
    assert violated(books) == [COUNTED]
    assert violated(books, twice) == []
    books.execute("INSERT INTO chaos.effects VALUES (1, 0, 'k1', 1)")
    assert violated(books, twice) == [COUNTED], "of three one is not accounted for"


def test_what_a_forked_child_of_such_a_claim_enqueues_is_one_of_a_claim(books: psycopg.Connection) -> None:
    books.execute("INSERT INTO chaos.orders (key, kind, producer) VALUES ('k8', 'fork', 0)")
    finish(books, 8, "chaos.fork", '{"key": "k8"}')
    for child in (80, 81):
        finish(books, child, "chaos.born", '{"key": "k8"}')
        books.execute("INSERT INTO chaos.effects VALUES (8, 0, 'k8', %s)", [child])
    known = facts(crashes=[CRASH], runs=[Run(8, 1, 1, MADE), Run(8, 1, 2, 102.0)])
    assert violated(books, known) == []
    assert violated(books) == [COUNTED]
    finish(books, 82, "chaos.born", '{"key": "k8"}')
    assert violated(books, known) == [COUNTED]


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param(run_twice(MADE, 99.9), id="both before the crash"),
        pytest.param(run_twice(102.0, 103.0), id="both after it"),
        pytest.param(run_twice(90.0, 102.0), id="the first was synced long before"),
        pytest.param(run_twice(100.5, 100.5), id="one claim, run twice"),
        pytest.param(run_twice(MADE, 102.0, claims=(1, 2)), id="another claim, which is counted"),
        pytest.param([Run(1, 1, 1, MADE)], id="one run with two effects"),
        pytest.param([run._replace(job=2) for run in run_twice(MADE, 102.0)], id="another job"),
    ],
)
def test_a_job_that_ran_twice_though_no_crash_took_its_claim_is_found(
    books: psycopg.Connection, runs: list[Run]
) -> None:
    books.execute("INSERT INTO chaos.effects VALUES (1, 0, 'k1', 1)")
    assert violated(books, facts(crashes=[CRASH], runs=runs)) == [COUNTED]


BACK = [Shown(0, BEGAN + 30, 0), Shown(BEGAN + 30, LATEST, -20)]
"""Set back by 20 s, so that what is due from 10 to 30 s after the start comes twice."""
TOO_MANY = "no more in a second than a rate admits"


def test_due_times_are_those_of_the_servers_clock() -> None:
    hour = [Shown(0, BEGAN + 20, 0), Shown(BEGAN + 20, BEGAN + 40, 3600), Shown(BEGAN + 40, LATEST, 0)]
    right, owed = list(due_times(facts())), list(due_times(facts(clock=hour)))
    assert owed[0] == right[0]
    assert owed[-1] == right[-1]
    assert [due - 3600 for due in owed if due > ENDED] == [due for due in right if 24 <= due - BEGAN < 40]
    assert [due for due in owed if due < ENDED] == [due for due in right if not 20 <= due - BEGAN < 44]
    twice = list(due_times(facts(clock=BACK)))
    assert {due for due in twice if twice.count(due) == 2} == {due for due in right if 14 <= due - BEGAN < 30}


def test_a_time_comes_as_often_as_the_clock_goes_or_steps_over_it() -> None:
    there_and_back = [Shown(0, 100, 0), Shown(100, 200, 3600), Shown(200, LATEST, 0)]
    assert [arrivals(due, there_and_back) for due in (50, 150, 250, 3750)] == [1, 1, 2, 2]
    assert [arrivals(BEGAN + after, BACK) for after in (5, 15, 35)] == [1, 2, 1]


def test_a_tick_is_owed_and_excused_as_often_as_its_time_comes(books: psycopg.Connection) -> None:
    stepped = facts(clock=BACK, disturbances=[Disturbance(None, BEGAN + 30, BEGAN + 25)])
    assert violated(books, stepped) == ["no due time missed"]
    for number, due in enumerate(range(int(BEGAN) + 14, int(BEGAN) + 30, 2), 300):
        finish(books, number, "chaos.tick", f'{{"timestamp": {due}}}', created=due + 0.1)
        books.execute("INSERT INTO chaos.ticks VALUES (to_timestamp(%s), %s)", [due, number])
    assert violated(books, stepped) == []
    assert violated(books) == ["no due time twice"]
    books.execute("UPDATE workrow.history SET args = (SELECT args FROM workrow.history WHERE id = 102) WHERE id = 115")
    assert "no due time twice" in violated(books, stepped), "its time came once"


def test_a_tick_that_waits_is_young_by_the_clock_that_it_was_made_by(books: psycopg.Connection) -> None:
    books.execute(
        "INSERT INTO procrastinate_jobs (id, queue_name, task_name, args, status, created_at) VALUES "
        f"(900, 'q', 'chaos.tick', '{{\"timestamp\": {int(ENDED) + 3600}}}', 'todo', to_timestamp({ENDED} + 3600))"
    )
    late = [Shown(0, ENDED - 1, 0), Shown(ENDED - 1, LATEST, 3600)]
    assert violated(books, facts(clock=late)) == []
    early = [Shown(0, ENDED - 60, 0), Shown(ENDED - 60, ENDED - 20, 3620), Shown(ENDED - 20, ENDED + 1, 0)]
    assert "every job is done" in violated(books, facts(clock=early))


def test_times_are_in_order_by_the_clock_that_each_was_told_by(books: psycopg.Connection) -> None:
    ((now,),) = books.execute("SELECT CAST(extract(EPOCH FROM now()) AS float)").fetchall()
    hour = [Shown(0, now - 10, 0), Shown(now - 10, now - 5, 3600), Shown(now - 5, LATEST, 0)]

    def wrong(*changes: str) -> bool:
        books.execute(f"UPDATE workrow.history SET {', '.join(changes)} WHERE id = 1".encode())
        return "history complete, its times in order" in violated(books, facts(clock=hour))

    assert not wrong("created_at = now() + interval '1 h' - interval '7 s'")
    assert violated(books) == ["history complete, its times in order"]
    assert wrong("started_at = now() - interval '8 s'"), "before it was made"
    # claimed by the clock that was ahead, and start and end are counted from there
    assert not wrong("started_at = created_at", "finished_at = created_at + interval '2 s'")
    assert wrong("finished_at = created_at - interval '2 s'")
    assert wrong("finished_at = now() + interval '1 h 1 s'"), "which is still to come"


def test_a_step_forward_gives_a_rate_one_burst(books: psycopg.Connection) -> None:
    ((now,),) = books.execute("SELECT CAST(extract(EPOCH FROM now()) AS float)").fetchall()
    start = (
        "INSERT INTO chaos.stays SELECT 'tenant 2', 99, n, at, at + interval '1 ms' "
        "FROM generate_series(%s::int, %s::int) AS n, "
        "LATERAL (SELECT now() - interval '2 s' + n * interval '10 ms') AS began (at)"
    )
    most = 2 * RATE + TOTAL_LIMIT
    books.execute(start, [1, most])
    forward, back = ([Shown(0, now - 2, 0), Shown(now - 2, LATEST, ahead)] for ahead in (3600, -3600))
    assert TOO_MANY not in violated(books, facts(clock=forward))
    assert TOO_MANY in violated(books, facts(clock=back))
    books.execute(start, [most + 1, most + 1])
    assert TOO_MANY in violated(books, facts(clock=forward))


def test_every_invariant_is_corrupted_above() -> None:
    found = {start for _, expected in CORRUPTIONS for start in expected}
    seen_otherwise = {"no worker ended by itself", "no child outlives its worker"}
    found |= {"every workflow and batch ended once", "parts, bodies, callbacks, compensations"}  # test_flows_judge.py
    assert {name for name in INVARIANTS if not any(name.startswith(start) for start in found)} == seen_otherwise
