"""docs/testing.md is one file of tests, which pass, with the plugin as a user has it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_examples_pass(workrow_server: str, tmp_path: Path) -> None:
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(page)
    (tmp_path / "test_examples.py").write_text("\n\n".join(blocks), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n",
        encoding="utf-8",
    )
    env = {**os.environ, "WORKROW_TEST_DATABASE_URL": workrow_server, "PYTHONPATH": str(ROOT)}
    plugin = ["-p", "workrow.testing.plugin", "-p", "no:workrow"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, "test_examples.py"],
        cwd=tmp_path,
        env={name: value for name, value in env.items() if not name.startswith("PYTEST")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    tests = sum(len(re.findall(r"^(?:async )?def test_", block, re.MULTILINE)) for block in blocks)
    assert f"{tests} passed" in run.stdout
