"""alembic's offline mode prints each version once, wherever in the history the script begins."""

from io import StringIO

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations

from workrow import schema
from workrow.schema import migrate, versions


@pytest.fixture(autouse=True)
def _three_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "LATEST", 3)
    monkeypatch.setattr(versions, "up", lambda version: [f"up {version}"])
    monkeypatch.setattr(versions, "down", lambda version: [f"down {version}"])


def script(starting_rev: str | None) -> tuple[Operations, StringIO]:
    printed = StringIO()
    options = {"as_sql": True, "output_buffer": printed, "starting_rev": starting_rev}
    return Operations(MigrationContext.configure(dialect_name="postgresql", opts=options)), printed


def test_from_base_every_version_is_printed_once() -> None:
    op, printed = script(None)
    schema.upgrade(op, to=1)
    schema.upgrade(op, to=3)
    assert printed.getvalue().split("\n\n") == ["up 1;", "up 2;", "up 3;", ""]


def test_a_first_revision_may_begin_at_a_later_version() -> None:
    op, printed = script(None)
    schema.upgrade(op)
    assert printed.getvalue().split("\n\n") == ["up 1;", "up 2;", "up 3;", ""]


def test_a_script_from_the_middle_prints_one_step() -> None:
    op, printed = script("0007")
    schema.upgrade(op, to=2)
    schema.upgrade(op, to=3)
    assert printed.getvalue().split("\n\n") == ["up 2;", "up 3;", ""]


def test_a_downgrade_prints_every_version_once() -> None:
    op, printed = script("0007")
    schema.downgrade(op, to=1)
    schema.downgrade(op, to=0)
    assert printed.getvalue().split("\n\n") == ["down 2;", "down 1;", ""]
