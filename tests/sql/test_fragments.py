"""What many statements say is said once, in fragments."""

import re
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import psycopg
import pytest

from workrow import sql
from workrow.declare.limits import HELD
from workrow.schema import versions

PACKAGE = Path(sql.__file__).parents[1]


def test_a_fragment_is_filled_in_under_the_tables_name() -> None:
    assert sql.expand("WHERE {ready} AND '{}' = '{0,a}'") == (
        "WHERE status = 'todo' AND (scheduled_at IS NULL OR staged_at = scheduled_at) AND '{}' = '{0,a}'"
    )
    assert sql.expand("{ready:queued}") == (
        "queued.status = 'todo' AND (queued.scheduled_at IS NULL OR queued.staged_at = queued.scheduled_at)"
    )
    with pytest.raises(FileNotFoundError, match="unknown"):
        sql.expand("{unknown}")


def test_the_far_future_is_the_same_in_python() -> None:
    assert datetime(9000, 1, 1, tzinfo=UTC) == HELD


def test_the_words_of_a_fragment_stand_nowhere_else() -> None:
    """Except in what was released (versions say for ever what they said), and in what is generated."""
    texts = {path: path.read_text() for path in PACKAGE.rglob("*.sql") if "versions" not in path.parts}
    del texts[PACKAGE / "schema" / "current.sql"]
    texts |= {path: path.read_text() for path in PACKAGE.rglob("*.py")}
    for words in (
        r"scheduled_at\s+IS\s+NULL\s+OR\s+[\w.]*staged_at\s*=",
        r"9000-01-01|\b9000, 1, 1\b",
        r"pg_notification_queue_usage\(\) *[<>]",
    ):
        said = [str(path.relative_to(PACKAGE)) for path, text in texts.items() if re.search(words, text)]
        assert len(said) == 1, said


def _code(text: str) -> str:
    return re.sub("--.*", "", text)


def test_nothing_is_notified_without_a_look_whether_there_is_room() -> None:
    texts = {path: path.read_text() for path in PACKAGE.rglob("*.sql") if "versions" not in path.parts}
    texts |= {path: path.read_text() for path in PACKAGE.rglob("*.py")}
    del texts[PACKAGE / "schema" / "current.sql"]
    notifying = {
        path.name: text for path, text in texts.items() if re.search(r"pg_notify\(|\bNOTIFY [a-z]", _code(text))
    }
    assert len(notifying) == 10, [*notifying]
    assert not [name for name, text in notifying.items() if "room_to_notify" not in text]


def test_no_statement_is_left_with_a_hole() -> None:
    names = [file.name[:-4] for file in resources.files("workrow.sql").iterdir() if file.name.endswith(".sql")]
    texts = [sql.load(name) for name in names] + list(versions.objects().values())
    assert not [text for text in texts if re.search(r"\{(ready|far_future|room_to_notify)", text)]


@pytest.mark.parametrize(("index", "lock"), [("ready", "IS NULL"), ("locked", "IS NOT NULL")])
def test_the_partial_indexes_have_the_condition(index: str, lock: str, conn: psycopg.Connection) -> None:
    ours = sql.fragment("ready")
    conn.execute(f"CREATE INDEX said ON procrastinate_jobs (id) WHERE {ours} AND lock {lock}")  # type: ignore[arg-type]
    query = "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = CAST(%s AS regclass)"
    found, said = (
        sorted(re.sub(r"[()]", "", conn.execute(query, [name]).fetchone()[0]).split(" AND "))  # type: ignore[index]
        for name in (f"procrastinate_jobs_{index}_idx_w2", "said")
    )
    assert found == said
