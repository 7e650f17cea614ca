"""What docs/architecture.md names is where it says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
# `worker/lane.py`, `sql/read_ends.sql`, `maintenance/`
NAMED = sorted(set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|sql))?)`", PAGE)))


def test_the_page_names_files() -> None:
    assert len(NAMED) > 40


@pytest.mark.parametrize("path", NAMED)
def test_what_is_named_exists(path: str) -> None:
    assert (ROOT / "workrow" / path).exists() or (ROOT / path).exists()


def test_every_room_is_in_the_picture() -> None:
    picture = PAGE.split("```mermaid")[1].split("```")[0]
    rooms = {folder.name for folder in (ROOT / "workrow").iterdir() if (folder / "__init__.py").exists()}
    assert not {room for room in rooms if f"{room}/" not in picture}
