"""The hot statements use their indexes on a large table, and no file has a placeholder inside quotes."""

import re
from importlib import resources
from typing import Any

import psycopg
import pytest

from workrow import sql

LARGE = 30_000

PARAMS: dict[str, Any] = {
    "worker_id": 1,
    "queue": "q1",
    "priority": 0,
    "after": 0,
    "limit": 100,
    "queues": None,
    "paused": [],
    "levels": 4,
    "from_queue": "",
    "keys": 100,
    "ids": list(range(1, 50)),
    "known": [1],
    "statuses": ["succeeded"] * 49,
    "results": [],
    "errors": [],
    "waited": [0.0] * 49,
    "lasted": [0.0] * 49,
    "worker": "w",
    "tasks": ["a", "t"],
    "signatures": ["a:1", "a:2"],
    "tokens": [0] * 49,
    "quarantines": [],
    "progresses": [],
    "ran": [],
    "owners": [1] * 49,
    "seconds": [0.0] * 49,
    "priorities": [None] * 49,
    "locks": [None] * 49,
    "times": [None] * 49,
}
AFTER = {"claim_locked_jobs": ""}
INDEXES = {
    "claim_jobs": "procrastinate_jobs_ready_idx_w2",
    "claim_mixed_jobs": "procrastinate_jobs_staged_idx_w5",
    "claim_queue_jobs": "procrastinate_jobs_ready_idx_w2",
    "claim_notified_jobs": "procrastinate_jobs_pkey",
    "claim_locked_jobs": "procrastinate_jobs_locked_idx_w2",
    "survey_jobs": "procrastinate_jobs_ready_idx_w2",
    "stage_jobs": "procrastinate_jobs_scheduled_idx_w2",
    "finish_jobs": "procrastinate_jobs_pkey",
    "retry_jobs": "procrastinate_jobs_pkey",
    "snooze_jobs": "procrastinate_jobs_pkey",
    "progress_jobs": "procrastinate_jobs_pkey",
    "release_jobs": "procrastinate_jobs_pkey",
    "delete_finished_jobs": "procrastinate_jobs_pkey",
    "supersede_jobs": "procrastinate_jobs_pkey",
    "find_lost_claims": "idx_procrastinate_jobs_worker_not_null",
    "peek_ready_job": "procrastinate_jobs_ready_idx_w2",
    "list_aborts": "procrastinate_jobs_pkey",
    "expire_jobs": "procrastinate_jobs_pkey",
}
SORTS = ("claim_locked_jobs", "survey_jobs", "claim_notified_jobs", "claim_mixed_jobs")
"""They sort what they have found: at most twice the limit, or a row for each queue."""


@pytest.fixture
def large(conn: psycopg.Connection[Any]) -> Any:
    """Ready, scheduled, locked and running jobs, all in one table; rolled back at the end."""
    with conn.transaction(force_rollback=True):
        conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        conn.execute(
            """INSERT INTO procrastinate_jobs (queue_name, task_name, lock, scheduled_at, status, worker_id)
               SELECT 'q' || n %% 3, 't', CASE WHEN kind = 1 THEN 'k' || n %% 500 END,
                      CASE WHEN kind = 2 THEN now() + interval '1 day' END,
                      CASE WHEN kind = 3 AND n %% 50 = 0 THEN 'doing' ELSE 'todo' END::procrastinate_job_status,
                      CASE WHEN kind = 3 AND n %% 50 = 0 THEN 1 + n %% 7 END
               FROM generate_series(1, %(n)s) AS n, generate_series(0, 3) AS kind""",
            {"n": LARGE},
        )
        conn.execute("ANALYZE procrastinate_jobs")
        yield conn


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("plan", ["custom", "generic"])
def test_the_statement_uses_its_index(name: str, plan: str, large: psycopg.Connection[Any]) -> None:
    large.execute(f"SET LOCAL plan_cache_mode = force_{plan}_plan")
    params = {**PARAMS, "after": AFTER.get(name, 0)}
    lines = [row[0] for row in large.execute(f"EXPLAIN {sql.load(name)}", params).fetchall()]
    text = "\n".join(lines)
    assert INDEXES[name] in text, text
    assert "Seq Scan on procrastinate_jobs" not in text, text
    assert "Sort Key" not in text or name in SORTS, text


@pytest.mark.parametrize("plan", ["custom", "generic"])
def test_what_comes_back_is_claimed_in_order_without_a_sort_of_all(plan: str, large: psycopg.Connection[Any]) -> None:
    large.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at, staged_at)
           SELECT 'q1', 't', at, at FROM generate_series(1, 20000) AS n,
                LATERAL (SELECT now() - n * interval '1 s' AS at) AS due"""
    )
    large.execute("ANALYZE procrastinate_jobs")
    large.execute(f"SET LOCAL plan_cache_mode = force_{plan}_plan")
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {sql.load('claim_mixed_jobs')}"
    (((top,),),) = large.execute(explain, {**PARAMS, "limit": 10}).fetchall()
    nodes = [top["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    sorts = [node["Actual Rows"] for node in nodes if node["Node Type"] == "Sort"]
    scans = [node for node in nodes if "Index Name" in node and "_idx_" in node["Index Name"]]
    assert max(sorts) <= 20, nodes
    assert {node["Index Name"] for node in scans} == {
        "procrastinate_jobs_ready_idx_w2",
        "procrastinate_jobs_staged_idx_w5",
    }
    assert all(node["Actual Rows"] <= 10 for node in scans), nodes


def test_one_job_is_found_by_its_id(large: psycopg.Connection[Any]) -> None:
    text = "\n".join(row[0] for row in large.execute("EXPLAIN SELECT * FROM workrow.jobs WHERE id = 5").fetchall())
    assert "procrastinate_jobs_pkey" in text
    assert "Seq Scan on procrastinate_jobs" not in text, text


@pytest.mark.parametrize("plan", ["custom", "generic"])
def test_ends_are_read_by_id_on_both_sides(plan: str, large: psycopg.Connection[Any]) -> None:
    large.execute(
        """INSERT INTO workrow.history (id, queue_name, task_name, status, priority, args, attempts, finished_at)
           SELECT 10000000 + n, 'q', 't', 'succeeded', 0, '{}', 1, now() FROM generate_series(1, 20000) AS n"""
    )
    large.execute("ANALYZE workrow.history")
    large.execute(f"SET LOCAL plan_cache_mode = force_{plan}_plan")
    ids = list(range(1, 1000))
    text = "\n".join(row[0] for row in large.execute(f"EXPLAIN {sql.load('read_ends')}", {"ids": ids}).fetchall())
    assert "procrastinate_jobs_pkey" in text, text
    assert "Seq Scan on procrastinate_jobs" not in text, text
    assert re.search(r"Index Scan using history_\w+_id_idx", text), text  # and the empty days are read whole


@pytest.mark.parametrize("plan", ["custom", "generic"])
@pytest.mark.parametrize("name", ["find_due_schedules", "next_schedule"])
def test_schedules_that_are_not_due_are_not_looked_at(name: str, plan: str, conn: psycopg.Connection[Any]) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute(
            """INSERT INTO workrow.timetable (name, dynamic, task, last_tick, next_due, paused_at)
               SELECT 's' || n, true, 't', now(), now() + n * interval '1 s', CASE WHEN n % 100 = 0 THEN now() END
               FROM generate_series(1, 10000) AS n"""
        )
        conn.execute("ANALYZE workrow.timetable")
        conn.execute(f"SET LOCAL plan_cache_mode = force_{plan}_plan")
        params = {"tasks": ["t"], "names": ["n"], "signatures": ["t:2"], "aside": ["s1"], "limit": 500}
        text = "\n".join(row[0] for row in conn.execute(f"EXPLAIN {sql.load(name)}", params).fetchall())
        assert "timetable_next_due_idx" in text, text
        assert "Seq Scan" not in text, text
        assert "Sort Key" not in text, text


def test_the_stock_fetch_walks_over_no_backlog(conn: psycopg.Connection[Any]) -> None:
    def buffers(statement: str) -> int:
        plan = conn.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}").fetchone()
        assert plan
        return int(plan[0][0]["Plan"]["Shared Hit Blocks"])

    conn.execute(
        """INSERT INTO procrastinate_jobs (queue_name, task_name, lock, scheduled_at)
           SELECT 'q' || n % 3, 't', CASE WHEN kind = 1 THEN 'k' || n % 500 END,
                  CASE WHEN kind = 2 THEN now() + interval '1 day' END
           FROM generate_series(1, 10000) AS n, generate_series(0, 2) AS kind"""
    )
    conn.execute("VACUUM ANALYZE procrastinate_jobs")
    conn.execute("SELECT procrastinate_fetch_job_v2(NULL, 1)")
    # ten for each lock it looks at: at most all 500 of them, however many jobs wait behind each
    assert buffers("SELECT procrastinate_fetch_job_v2(NULL, 1)") < 1500
    assert buffers("SELECT procrastinate_fetch_job_v2(ARRAY['q2'], 1)") < 5000


FILES = sorted(file.name for file in resources.files("workrow.sql").iterdir() if file.name.endswith(".sql"))


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_one_statement_with_a_comment_and_no_placeholder_in_quotes(file: str) -> None:
    text = (resources.files("workrow.sql") / file).read_text()
    assert text.startswith("-- "), "say what it does"
    code = re.sub(r"--.*", "", text)
    assert not re.search(r"'[^'\n]*%\(\w+\)s[^'\n]*'", code), "a placeholder inside quotes is a text, not a parameter"
    assert ";" not in code
    assert "::" not in code, "CAST, so that SQLAlchemy's text() reads it"
    assert not re.search(r"select\s+\*", code, re.IGNORECASE), "list the columns"
