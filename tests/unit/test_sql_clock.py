"""Whatever our SQL decides by time, the test kit's clock must be able to move."""

import re
from pathlib import Path

import workrow

FIXED = re.compile(
    r"current_timestamp|current_date|current_time|localtime|timeofday|'now'"
    r"|pg_catalog\.\w*(now|timestamp)|\bSET search_path",
    re.IGNORECASE,
)

DIFFERENCE = re.compile(
    r"(expires|due|scheduled|ready)_at - |\w\(\) - (\w+\.)?\w*(expires|due|scheduled|ready)_at|\n *\) - clock"
)
"""PostgreSQL 15 and 16 refuse it where the time is infinite: one such row would stop every claim."""


def test_no_statement_asks_a_clock_that_cannot_be_moved() -> None:
    package = Path(workrow.__file__).parent
    files = [path for path in package.rglob("*.sql") if "testing" not in path.parts and path.name != "current.sql"]
    assert len(files) > 100
    texts = {path.name: re.sub(r"--.*", "", path.read_text()) for path in files}
    found = [name for name, text in texts.items() if FIXED.search(text) and "'workrow_testing'" not in text]
    assert found == []
    assert [name for name, text in texts.items() if DIFFERENCE.search(text)] == []
