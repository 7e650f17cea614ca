"""The README's blocks are one file, tasks.py, that runs as printed; that of Celery is a file of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FIRST = README[README.index("## The first task") : README.index("## A project to start from")]
COMMAND = re.compile(r"^\$ (.*?)(?: +#.*)?$", re.MULTILINE)


def test_it_runs_as_printed(tmp_path: Path, empty_database_url: str) -> None:
    def here(text: str) -> str:
        driver = "postgresql+psycopg" + empty_database_url.removeprefix("postgresql")
        text = text.replace("postgresql+psycopg://localhost/mydatabase", driver)
        return text.replace("postgresql://localhost/mydatabase", empty_database_url)

    def run(command: str) -> str:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            shell=True,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    *blocks, celery = PYTHON.findall(README)
    assert len(blocks) == 5
    (tmp_path / "tasks.py").write_text(here("\n\n".join(blocks)), encoding="utf-8")
    for command in COMMAND.findall(FIRST):
        if not command.startswith("psql"):
            run(here(command))
    (tmp_path / "register.py").write_text(
        "import asyncio, sqlalchemy, tasks\n"
        "tasks.Base.metadata.create_all(sqlalchemy.create_engine(tasks.engine.url))\n"
        "asyncio.run(tasks.register('Ada'))\n",
        encoding="utf-8",
    )
    run("python register.py")
    run("python -m mypy --strict --follow-imports=silent tasks.py")
    query = re.search(r"-c '(SELECT .*?)'", FIRST)
    assert query
    with psycopg.connect(empty_database_url) as connection:
        rows = connection.execute(query[1]).fetchall()  # type: ignore[call-overload]
        assert [row[1:] for row in rows if row[2] == "succeeded"] == [("greet", "succeeded", "Hello, Ada!")]
        assert connection.execute("SELECT name FROM users").fetchall() == [("Ada",)]
        assert connection.execute("SELECT count(*) FROM workrow.jobs WHERE status = 'todo'").fetchone() == (2,)
    (tmp_path / "shop.py").write_text(celery, encoding="utf-8")
    (tmp_path / "look.py").write_text("import shop\nassert shop.ship.name == 'shop.ship'\n", encoding="utf-8")
    run(f"DATABASE_URL={empty_database_url} python look.py")
