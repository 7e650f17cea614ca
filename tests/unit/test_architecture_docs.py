"""What docs/architecture.md names is where it says."""

import re
import tomllib
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


def test_the_picture_has_the_floors_of_the_contract_in_their_order() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = [set(floor.split(" | ")) for floor in project["tool"]["importlinter"]["contracts"][0]["layers"]]
    picture = PAGE.split("```mermaid")[1].split("```")[0]
    drawn = re.findall(r'(\w+)(?:\.py|/(?= ·|"))', picture)
    assert len(drawn) == sum(map(len, floors))
    for floor in floors:
        assert set(drawn[: len(floor)]) == floor
        del drawn[: len(floor)]


@pytest.mark.parametrize("room", ["worker", "workflows"])
def test_every_file_of_these_rooms_is_named(room: str) -> None:
    inside = {path for path in (ROOT / "workrow" / room).iterdir() if path.suffix == ".py" or path.is_dir()}
    names = {f"{room}/{path.name}{'/' if path.is_dir() else ''}" for path in inside if not path.name.startswith("__")}
    assert names <= set(NAMED)
