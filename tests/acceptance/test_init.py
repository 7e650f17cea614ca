"""``workrow init``: what it writes runs as it says."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from workrow.cli import main

BIN = Path(sys.executable).parent


class Project:
    """A directory, and its commands as a person gives them there."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.url = url

    def fails(self, *command: str) -> str:
        # this repository has an `app` and a package `jobs` too
        path = {"PYTHONPATH": str(self.directory), "PYTHONDONTWRITEBYTECODE": "1"}
        self.ran = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=self.directory,
            env={**os.environ, **path, "DATABASE_URL": self.url},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return self.ran.stdout + self.ran.stderr

    def run(self, *command: str) -> str:
        said = self.fails(*command)
        assert self.ran.returncode == 0, said
        return said

    def files(self) -> set[str]:
        return {str(each.relative_to(self.directory)) for each in self.directory.rglob("*") if each.is_file()}


@pytest.fixture
def project(tmp_path: Path, empty_database_url: str) -> Project:
    (tmp_path / "shop").mkdir()
    return Project(tmp_path / "shop", empty_database_url)


def greeted(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT name, greeted_at IS NOT NULL, status, result FROM greetings CROSS JOIN workrow.jobs"
        ).fetchall()


def test_a_fresh_project_runs_as_it_says(project: Project) -> None:
    said = project.run("workrow", "init")
    for line in ("alembic upgrade head", "python -m jobs.greetings Ada"):
        assert line in said
        project.run(*line.split())
    assert "No new upgrade operations" in project.run("alembic", "check")
    project.run("workrow", "--app", "app.app", "worker", "--one-shot")
    assert greeted(project.url) == [("Ada", True, "succeeded", "Hello, Ada!")]
    assert "greetings.greet" in project.run("workrow", "--app", "app.app", "status")
    project.run("alembic", "downgrade", "base")


def test_its_own_tests_pass_and_its_code_is_clean(
    project: Project, cluster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run("workrow", "init", "--package", "work")
    monkeypatch.setenv("WORKROW_TEST_DATABASE_URL", cluster_url)
    assert "3 passed" in project.run("python", "-m", "pytest", "-q", "-p", "no:xdist")
    project.run("ruff", "check", "--select", "E,F,I,B,UP", "--line-length", "120", ".")
    project.run("ruff", "format", "--check", "--line-length", "120", ".")
    project.run("python", "-m", "mypy", "--strict", "app.py", "work", "tests")


@pytest.mark.parametrize("template", ["generic", "pyproject"])
def test_a_project_with_alembic_gets_two_revisions_and_keeps_what_it_has(
    project: Project, template: str, cluster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKROW_TEST_DATABASE_URL", cluster_url)
    project.run("alembic", "init", "-t", template, "db")
    env = project.directory / "db" / "env.py"
    env.write_text(
        env.read_text()
        .replace('config.get_main_option("sqlalchemy.url")', "URL")
        .replace("    connectable = engine_from_config(", "    connectable = create_engine(URL) or engine_from_config(")
        .replace(
            "target_metadata = None",
            "import os\nfrom sqlalchemy import create_engine\n"
            "URL = 'postgresql+psycopg' + os.environ['DATABASE_URL'][10:]\ntarget_metadata = []",
        )
    )
    project.run("alembic", "revision", "-m", "their own")
    before = {name: (project.directory / name).read_bytes() for name in project.files()}
    said = project.run("workrow", "init")
    assert all((project.directory / name).read_bytes() == text for name, text in before.items())
    assert len(list((project.directory / "db" / "versions").glob("*.py"))) == 3
    ours = "import jobs.greetings.models\nimport workrow.schema\nfrom jobs.database import Base\n"
    assert all(f"  {line}" in said for line in ours.splitlines())
    env.write_text(
        ours
        + env.read_text()
        .replace("target_metadata = []", "target_metadata = [Base.metadata]")
        .replace(
            "target_metadata=target_metadata",
            "target_metadata=target_metadata, include_object=workrow.schema.include_object",
        )
    )
    project.run("alembic", "upgrade", "head")
    assert "No new upgrade operations" in project.run("alembic", "check")
    project.run("python", "-m", "jobs.greetings", "Ada")
    project.run("workrow", "--app", "app.app", "worker", "--one-shot")
    assert greeted(project.url) == [("Ada", True, "succeeded", "Hello, Ada!")]
    # it has no pytest configuration of ours: "pytest" would not find the package
    tests = next(line.split("#")[0].split() for line in said.splitlines() if "pytest  " in line)
    assert "3 passed" in project.run(*tests, "-q", "-p", "no:xdist")


def test_nothing_is_overwritten_and_nothing_half_done(project: Project) -> None:
    theirs = project.directory / "app.py"
    theirs.write_text("app = 1\n")
    said = project.fails("workrow", "init")
    assert said.startswith("Error: app.py in .: there already, and nothing was written")
    assert project.ran.returncode == 1
    assert project.files() == {"app.py"}
    theirs.rename(project.directory / "pyproject.toml")
    assert "kept pyproject.toml, which was there" in project.run("workrow", "init")
    assert (project.directory / "pyproject.toml").read_text() == "app = 1\n"


def test_two_heads_are_to_be_merged_first(project: Project) -> None:
    project.run("alembic", "init", "db")
    for _ in range(2):
        project.run("alembic", "revision", "-m", "theirs", "--head", "base", "--splice")
    before = project.files()
    assert "multiple heads" in project.fails("workrow", "init").lower()
    assert project.ran.returncode == 1
    assert project.files() == before


@pytest.mark.parametrize("name", ["my-jobs", "class", "tests", "workrow", "1st", ""])
def test_the_package_must_be_importable(tmp_path: Path, name: str) -> None:
    ran = CliRunner().invoke(main, ["init", str(tmp_path), "--package", name])
    assert ran.exit_code == 1
    assert f"--package={name}: must be a name that Python can import" in ran.output
    assert not list(tmp_path.iterdir())
