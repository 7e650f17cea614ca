"""Whatever our SQL decides by time, the test kit's clock must be able to move."""

import re
from pathlib import Path

import workrow

FIXED = re.compile(
    r"current_timestamp|current_date|current_time|localtime|timeofday|'now'"
    r"|pg_catalog\.\w*(now|timestamp)|\bSET search_path",
    re.IGNORECASE,
)


def test_no_statement_asks_a_clock_that_cannot_be_moved() -> None:
    package = Path(workrow.__file__).parent
    files = [path for path in package.rglob("*.sql") if "testing" not in path.parts and path.name != "current.sql"]
    assert len(files) > 100
    texts = {path.name: re.sub(r"--.*", "", path.read_text()) for path in files}
    found = [name for name, text in texts.items() if FIXED.search(text) and "'workrow_testing'" not in text]
    assert found == []
