"""docs/monitoring.md: every query runs, every column is told."""

import re
from pathlib import Path

import psycopg
import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.partition("\n")[0][:60])
def test_every_query_runs(query: str, conn: psycopg.Connection) -> None:
    conn.execute(
        """INSERT INTO procrastinate_jobs (id, queue_name, task_name, status, errors)
           OVERRIDING SYSTEM VALUE VALUES (42, 'q', 't', 'failed', '[{"attempt": 1, "message": "no"}]')"""
    )
    with conn.transaction(force_rollback=True):
        try:
            # roles belong to the server, which may have one of that name
            conn.execute(query.replace("monitoring", "workrow_test_docs").encode())
        except psycopg.errors.InsufficientPrivilege:
            if "CREATE ROLE" not in query:
                raise
            pytest.skip("needs a role that may create roles")


def test_there_are_queries() -> None:
    assert len(QUERIES) > 10


def test_every_column_is_told(conn: psycopg.Connection) -> None:
    # all_jobs is what procrastinate's own queries read
    views = conn.execute(
        "SELECT viewname FROM pg_views WHERE schemaname = 'workrow' AND viewname <> 'all_jobs'"
    ).fetchall()
    assert len(views) > 15
    for (view,) in views:
        section = TEXT.partition(f"\n## workrow.{view}\n")[2].partition("\n## ")[0]
        told = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\|([^|]*)\|", section, re.MULTILINE))))
        columns = conn.execute(f"SELECT * FROM workrow.{view} LIMIT 0").description  # type: ignore[arg-type]
        assert told == {column.name for column in columns or ()}, view
