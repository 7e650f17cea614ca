"""The shop of examples/celery_shop has the day here that it had on Celery 5.7 and Redis."""

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPECTED = ROOT / "examples" / "celery_shop" / "expected.log"


@pytest.mark.timeout(400)
def test_a_day_of_the_shop(tmp_path: Path, cluster_url: str) -> None:
    environment = {**os.environ, "SHOP_KEEP": str(tmp_path / "shop")}
    environment.pop("SHOP_ON", None)
    done = subprocess.run(
        [sys.executable, "-m", "examples.celery_shop"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=380, check=False,
    )  # fmt: skip
    said = difflib.unified_diff(
        EXPECTED.read_text().splitlines(), done.stdout.splitlines(), "Celery", "here", lineterm=""
    )
    assert (done.returncode, "\n".join(said)) == (0, ""), done.stderr[-3000:]
