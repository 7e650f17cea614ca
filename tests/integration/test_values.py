"""What comes back from the database: any time, any setting of the database or the role, any refusal of a row."""

from typing import Any
from urllib.parse import quote

import psycopg
import pytest

import workrow
from tests.integration.test_worker import run
from workrow.database.connector import is_pooled
from workrow.database.outage import LOST, Refused, is_lost, judged

ELSEWHERE = (
    "-c DateStyle=German -c IntervalStyle=iso_8601 -c TimeZone=America/New_York "
    "-c default_transaction_isolation=serializable"
)


def states(conn: psycopg.Connection[Any]) -> list[str]:
    return [each for (each,) in conn.execute("SELECT status FROM workrow.jobs ORDER BY id").fetchall()]


@pytest.mark.parametrize("when", ["-infinity", "4000-01-01 BC", "0001-01-01 00:00:00+00"])
async def test_a_time_that_python_cannot_hold_costs_no_claim(
    open_app: workrow.App, conn: psycopg.Connection[Any], when: str
) -> None:
    @open_app.task(name="t")
    async def t(n: int = 0) -> None: ...

    conn.execute(
        "INSERT INTO procrastinate_jobs (task_name, queue_name, scheduled_at) VALUES ('t', 'default', %s)", [when]
    )
    await t.enqueue_many(None, [{"n": n} for n in range(3)])
    await run(open_app)
    assert states(conn) == ["succeeded"] * 4


@pytest.mark.parametrize(
    ("when", "year"), [("infinity", 9999), ("-infinity", 1), ("294276-01-01", 9999), ("4000-01-01 BC", 1)]
)
@pytest.mark.parametrize("binary", [True, False])
async def test_a_time_is_read_as_the_nearest(database_url: str, when: str, year: int, binary: bool) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as own:
        await is_pooled(own)
        cursor = own.cursor(binary=binary)
        found = await (await cursor.execute("SELECT CAST(%s AS timestamptz)", [when])).fetchone()
        assert found is not None
        assert found[0].year == year


async def test_connections_pin_what_they_rely_on(database_url: str) -> None:
    app = workrow.App(f"{database_url}&options={quote(ELSEWHERE)}")
    async with app.open_async():
        (row,) = await app.connector.execute_query_all_async(
            """SELECT current_setting('DateStyle') AS dates, current_setting('IntervalStyle') AS intervals,
               current_setting('TimeZone') AS zone, current_setting('transaction_isolation') AS isolation"""
        )
    assert row["dates"].startswith("ISO")
    assert (row["intervals"], row["zone"], row["isolation"]) == ("postgres", "UTC", "read committed")


@pytest.mark.parametrize("state", ["54000", "40003", "55000"])
def test_a_refused_statement_is_no_outage(state: str) -> None:
    error = psycopg.errors.lookup(state)("no")
    assert isinstance(error, LOST)  # by its class alone
    refused = judged(error)
    assert isinstance(refused, Refused)
    assert (refused.sqlstate, str(refused)) == (state, "no")
    assert not is_lost(error)


@pytest.mark.parametrize("state", ["57P01", "08006", "53300", "25006"])
def test_a_database_that_is_away_is_an_outage(state: str) -> None:
    assert is_lost(psycopg.errors.lookup(state)("no"))


async def test_a_success_whose_row_is_refused_stays_a_success(
    open_app: workrow.App, conn: psycopg.Connection[Any]
) -> None:
    @open_app.task(name="t")
    async def t(n: int) -> str:
        return "odd" if n == 1 else "fine"

    conn.execute("ALTER TABLE workrow.history ADD CONSTRAINT odd CHECK (result <> '\"odd\"')")
    jobs = await t.enqueue_many(None, [{"n": n} for n in range(3)])
    assert jobs
    await run(open_app)
    assert states(conn) == ["succeeded"] * 3
    ((result, errors),) = conn.execute("SELECT result, errors FROM workrow.history WHERE args ->> 'n' = '1'").fetchall()
    assert result is None
    assert errors[0]["type"] == "workrow.ResultNotKept"
    assert "odd" in errors[0]["message"]
