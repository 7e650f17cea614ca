"""What somebody wrote by hand into the column ``line`` of a waiting job is this job's own trouble."""

import contextlib
import json
import random
import re
import string
from typing import Any

import psycopg
import pytest

import workrow
from tests.integration.test_limit_rows import blocks
from tests.integration.test_limited_jobs import run
from workrow import sql
from workrow.maintenance.expirer import Expirer

ODD = (
    "",
    "no JSON",
    "null",
    "[]",
    '"q, t, b"',
    '{"q": "t"}',
    '["q", "t"]',
    '["q", "t", null]',
    '["q", "t", ["b"]]',
    '["q", "t", 1e400]',
    '[1, "t", "b"]',
    '["q", "t", "b"] ["q"]',
    '["q", "t", "\\u0000"]',
    '["q", "t", "\\ud800"]',
    '["q", "t", "a\nb"]',
    "[" * 50_000,
    json.dumps(["q", "t", "".join(random.Random(1).choices(string.ascii_letters, k=9000))]),
)
LINES = (["q", "t", "b"], ["", "", ""], ['"\\/\b\f\n\r\t\x01\x1f\x7f', "ü€🎈", "t/k=a, b]", "t"])


@pytest.fixture
def limited(open_app: workrow.App) -> Any:
    @open_app.task(name="limited", queue="q", limits=workrow.Limit(2))
    async def limited() -> None: ...

    return limited


@pytest.mark.parametrize("due_at", ["clock_timestamp()", "NULL"])
async def test_a_job_in_no_line_is_quarantined_and_the_others_run(
    due_at: str, open_app: workrow.App, limited: Any, conn: psycopg.Connection[Any]
) -> None:
    odd = []
    for line in ODD:
        job = await limited.options(delay=3600).enqueue(None)
        with contextlib.suppress(psycopg.errors.ProgramLimitExceeded):  # too long for the index of what is ready
            conn.execute(
                f"UPDATE procrastinate_jobs SET line = %s, due_at = {due_at} WHERE id = %s".encode(), [line, job.id]
            )
            odd.append(job.id)
    await limited.enqueue_many(None, [{}] * 3)
    await limited.options(delay=0.001).enqueue(None)
    await run(open_app)
    count = "SELECT count(*) FROM workrow.history WHERE status = 'succeeded'"
    assert conn.execute(count.encode()).fetchone() == (4,)

    async def execute(statement: str, **params: Any) -> list[Any]:
        return conn.execute(sql.load(statement).encode(), params).fetchall()

    await Expirer(execute).run_once()
    causes = dict(conn.execute("SELECT id, cause FROM workrow.quarantine").fetchall())
    assert sorted(causes) == odd
    assert set(causes.values()) == {'its column "line" holds a text that is no line of a limit: enqueue it again'}


def test_a_text_that_is_no_line_never_becomes_one(conn: psycopg.Connection[Any]) -> None:
    insert = "INSERT INTO procrastinate_jobs (queue_name, task_name, line, due_at) VALUES ('q', 't', %s, {})"
    for line in ODD:
        with pytest.raises(psycopg.Error):
            conn.execute(insert.format("NULL").encode(), [line])
        conn.execute(insert.format("clock_timestamp()").encode(), [line])
        assert conn.execute("SELECT workrow.call_lines_v2()").fetchone() == (False,), line
        assert conn.execute("SELECT line FROM workrow.lines").fetchall() == []
        conn.execute("DELETE FROM procrastinate_jobs")


def test_whatever_is_written_as_a_line_is_one(conn: psycopg.Connection[Any]) -> None:
    query = (
        f"SELECT line FROM unnest(%s::text[]) AS job (line) WHERE {sql.fragment('text_of_a_line', job='job')}".encode()
    )
    lines = [json.dumps(line, ensure_ascii=False) for line in LINES]
    by_server = [conn.execute("SELECT %s::jsonb::text", [line]).fetchone()[0] for line in lines]  # type: ignore[index]
    assert conn.execute(query, [lines + by_server]).fetchall() == [(line,) for line in lines + by_server]


def test_to_look_for_odd_ones_costs_the_same_however_many_wait(conn: psycopg.Connection[Any]) -> None:
    found = []
    for first, last in ((1, 2_000), (2_001, 40_000)):
        conn.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, line, due_at)
               SELECT 'q', 't', json_build_array('q', 't', 't/k=' || n %% 100),
                      CASE WHEN n %% 2 = 0 THEN now() + interval '1 h' END
               FROM generate_series(%s::integer, %s::integer) AS n""",
            [first, last],
        )
        conn.execute("VACUUM ANALYZE procrastinate_jobs")
        statement = re.sub(
            r"%\(\w+\)s", lambda each: {"%(after)s": "''"}.get(each[0], "1000"), sql.load("end_odd_lines")
        )
        found.append(blocks(conn, statement))
    few, many = found
    assert many < 2 * few + 50, found
